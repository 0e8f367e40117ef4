import Failures
import Foundation
import TestSupport
import Testing
import Torch

@Suite struct TensorTests {
    private let device: Device

    init() throws { device = try testDevice() }

    @Test func `a tensor keeps its values, shape and type`() throws {
        let values: [Float] = [1, -2, 3.5, 4, 5, 6]
        let tensor = try Tensor(values, shape: [2, 3]).to(device: device)
        #expect(tensor.shape == [2, 3])
        #expect((tensor.rank, tensor.count, tensor.byteCount) == (2, 6, 24))
        #expect((tensor.size(0), tensor.size(-1)) == (2, 3))
        #expect(tensor.dtype == .float32)
        #expect(tensor.device == device)
        #expect(try tensor.values() == values)
        #expect(try tensor.transposed(0, 1).values(as: Float.self) == [1, 4, -2, 5, 3.5, 6])
        #expect(try !tensor.transposed(0, 1).isContiguous)
    }

    @Test func `empty tensors and single numbers are tensors`() throws {
        let empty = try Tensor([Float](), shape: [0, 3])
        #expect((empty.shape, empty.count) == ([0, 3], 0))
        #expect(try empty.values(as: Float.self) == [])
        #expect(try Tensor([Double(7)], shape: []).item() == 7)
        #expect(try expectedFailure { _ = try empty.item() }.got == "shape [0, 3]")
        #expect(try expectedFailure { _ = try Tensor([Float(1), 2]).item() }.expected == "1 element")
    }

    @Test func `element types convert as their formats say`() throws {
        let values: [Float] = [0, 1, -1.5, 3.14159265, 65504, 1e-3]
        let tensor = try Tensor(values)
        // bfloat16 keeps the upper half of the bits, rounded to even.
        let rounded = values.map { value in
            let bits = value.bitPattern
            return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
        }
        #expect(try tensor.to(dtype: .bfloat16).values() == rounded)
        #expect(try tensor.to(dtype: .float16).values() == values.map { Float(Float16($0)) })
        #expect(try tensor.to(dtype: .int64).values(as: Int.self) == [0, 1, -1, 3, 65504, 0])
        #expect(try tensor.to(dtype: .bool).values(as: Int32.self) == [0, 1, 1, 1, 1, 1])
        #expect(try tensor.to(dtype: .float64).values(as: Double.self) == values.map(Double.init))
        for dtype in DType.allCases {
            let converted = try Tensor([Float(1), 0]).to(dtype: dtype)
            #expect(converted.dtype == dtype)
            #expect(converted.byteCount == 2 * dtype.size)
            #expect(try converted.values(as: Float.self) == [1, 0], "\(dtype)")
        }
    }

    @Test func `what cannot be computed is libtorch's own sentence`() throws {
        let a = try Tensor.zeros([2, 3], device: device)
        let product = try expectedFailure { _ = try a.matmul(a) }
        #expect(product.blame == .run)
        #expect(product.what.hasPrefix("aten::matmul: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"))
        #expect(try expectedFailure { _ = try a.reshaped([4, 2]) }.what.contains("shape '[4, 2]' is invalid"))
        #expect(try expectedFailure { _ = try a + .zeros([5], device: device) }.what.contains("must match"))
        #expect(try expectedFailure { _ = try a.selected(5, 0) }.what.contains("Dimension out of range"))
        #expect(try expectedFailure { _ = try a.selected(0, 2) }.what.contains("out of range"))
        #expect(try expectedFailure { _ = try Tensor.concatenated([], dimension: 0) }.what.contains("aten::cat"))
        #expect(try expectedFailure { _ = try Tensor.zeros([-1]) }.what.contains("negative"))
        #expect(try !expectedFailure { _ = try Tensor.zeros([1 << 40, 1 << 20]) }.what.isEmpty)
        // And the process computes on.
        #expect(try a.matmul(a.transposed(0, 1)).shape == [2, 2])
    }

    @Test func `values that do not fill the shape are refused`() throws {
        #expect(try expectedFailure { _ = try Tensor([Float(1)], shape: [2]) }.expected == "2 values")
        _ = try expectedFailure { _ = try Tensor([Float(1)], shape: [-1]) }
        _ = try expectedFailure { _ = try Tensor([Float](), shape: [Int.max, 3]) }
        let bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        _ = try expectedFailure { _ = try Tensor(bytes: bytes, shape: [Int.max, 3], dtype: .float32) }
        _ = try expectedFailure { _ = try Tensor(bytes: bytes, shape: [-1, 0, 2], dtype: .float32) }
        _ = try expectedFailure { _ = try Tensor(bytes: bytes, shape: [Int](repeating: 1, count: 70), dtype: .int8) }
    }

    @Test func `views share memory and clones do not`() throws {
        let tensor = try Tensor.zeros([2, 2], device: device)
        let clone = try tensor.cloned()
        try tensor.sliced(0, 1..<2).assign(.full([1, 2], 3, device: device))
        #expect(try tensor.values(as: Float.self) == [0, 0, 3, 3])
        #expect(try clone.values(as: Float.self) == [0, 0, 0, 0])
        try tensor.interpolate(to: .full([2, 2], 1, device: device), weight: 0.5)
        #expect(try tensor.values(as: Float.self) == [0.5, 0.5, 2, 2])
        try tensor.accumulate(clone, scale: 2)
        try tensor.scale(by: 2)
        #expect(try tensor.values(as: Float.self) == [1, 1, 4, 4])
    }

    /// Memory that says when it goes.
    private final class Owner {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 16)
        let farewell: () -> Void

        init(farewell: @escaping () -> Void) {
            self.farewell = farewell
            bytes.copyBytes(from: (0..<16).map { UInt8($0) })
        }

        deinit {
            bytes.deallocate()
            farewell()
        }
    }

    @Test func `borrowed memory lives as long as the last view of it`() throws {
        var isGone = false
        var view: Tensor?
        do {
            let owner = Owner { isGone = true }
            let tensor = try Tensor(
                borrowing: UnsafeRawBufferPointer(owner.bytes), shape: [4, 4], dtype: .uint8, owner: owner)
            tensor.withBytes { #expect($0.baseAddress == UnsafeRawPointer(owner.bytes.baseAddress)) }
            view = try tensor.selected(0, 2)
        }
        #expect(!isGone)
        #expect(try view?.values(as: UInt8.self) == [8, 9, 10, 11])
        view = nil
        #expect(isGone)
    }

    @Test func `no handle outlives its scope`() async {
        // In a process of its own, where no other test makes tensors.
        await #expect(processExitsWith: .success) {
            let engine = try Engine.shared()
            func work() throws {
                let weight = try Tensor.full([4, 4], 0.5)
                try weight.setRequiresGrad(true)
                let input = try Generator(seed: 1).normal([3, 4])
                let output = try checkpointed([input]) { try $0[0].linear(weight).gelu() }
                try output.squared().sum().backward()
                try weight.gradient().map { try weight.accumulate($0, scale: -0.1) }
                _ = try? input.matmul(input)
                _ = try? checkpointed([input]) { _ in throw Failure.run("on purpose") }
                // Weight, input and output.
                #expect(engine.liveTensors >= 3)
            }
            try work()
            let before = engine.liveTensors
            for _ in 1...5 { try work() }
            #expect(engine.liveTensors == before)
            #expect(before == 0)
        }
    }

    @Test func `threads compute side by side`() throws {
        let results = (0..<8).map { _ in ManagedBox() }
        DispatchQueue.concurrentPerform(iterations: results.count) { index in
            results[index].value = try? withoutGradients {
                let a = try Tensor.full([16, 16], Double(index))
                guard try !gradientsEnabled() else { return nil }
                _ = try? a.matmul(.zeros([3, 3]))  // errors belong to the thread too
                return try a.matmul(a).sum().item()
            }
        }
        for (index, result) in results.enumerated() { #expect(result.value == Double(16 * 16 * 16 * index * index)) }
        #expect(try gradientsEnabled())
    }

    /// A place for one thread to write to.
    private final class ManagedBox: @unchecked Sendable { var value: Double? }
}

@Suite struct DeviceTests {
    @Test func `names of devices are read and written`() throws {
        #expect(try Device(parsing: "cpu") == .cpu)
        #expect(try Device(parsing: "cuda") == .cuda(0))
        #expect(try Device(parsing: "cuda:3") == .cuda(3))
        for device in [Device.cpu, .cuda(0), .cuda(7)] { #expect(try Device(parsing: device.description) == device) }
    }

    @Test(arguments: [
        "", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:1:2", "cuda:99999999999999999999",
    ])
    func `what names no device is a failure of the input`(text: String) throws {
        let failure = try expectedFailure { _ = try Device(parsing: text) }
        #expect(failure.blame == .input)
        #expect(failure.got == text)
        #expect(failure.expected == "cpu, cuda or cuda:N")
    }

    @Test(arguments: [Device.cuda(4096), .cuda(Int.max)])
    func `a device that is not there is a failure of the input`(device: Device) throws {
        #expect(try expectedFailure { try device.checkPresent() }.blame == .input)
        _ = try expectedFailure { _ = try Tensor.zeros([1], device: device) }
    }
}
