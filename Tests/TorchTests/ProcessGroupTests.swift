import TestSupport
import Testing
import Torch

/// Sums over processes, here threads, on the tests' device.
@Suite struct ProcessGroupTests {
    /// One for each GPU, so that NCCL takes part where there are some.
    private static func count(on device: Device) throws -> Int {
        device == .cpu ? 3 : try max(1, Engine.shared().cudaDevices)
    }

    private static func device(of rank: Int) throws -> Device {
        try testDevice() == .cpu ? .cpu : .cuda(rank)
    }

    @Test func `tensors of several types become their sums, whichever way they take`() throws {
        let count = try Self.count(on: testDevice())
        let sums = try inGroup(of: count) { group in
            let device = try Self.device(of: group.rank)
            #expect(try group.use(device) == (device != .cpu))
            let own = group.rank + 1
            let tensors = try [
                Tensor([Float(own), 2]), Tensor([Double(own)]),
                Tensor([Float(0.5), Float(own)]).reshaped([2, 1]).to(dtype: .bfloat16),
                Tensor([Int64(own), -7]),
            ].map { try $0.to(device: device) }
            try group.sum(tensors)
            // On their way together, and one in the host's memory.
            let (first, second) = (try Tensor([Float(own)]).to(device: device), try Tensor([Float(10 * own)]))
            let messages = try [group.beginSum([first]), group.beginSum([second])]
            for message in messages { try message.finish() }
            return try (tensors + [first, second]).map { try $0.values(as: Double.self) }
        }
        let all = Double(count * (count + 1) / 2)
        let expected = [
            [all, 2.0 * Double(count)], [all], [0.5 * Double(count), all], [all, -7.0 * Double(count)], [all],
            [10 * all],
        ]
        for own in sums { #expect(own == expected) }
    }

    @Test(.enabled("of GPUs alone") { try testDevice() != .cpu })
    func `two processes on one GPU go through host memory`() throws {
        let sums = try inGroup(of: 2) { group in
            let device = try testDevice()
            #expect(try !group.use(device))
            let tensor = try Tensor([Float(group.rank)]).to(device: device)
            try group.sum([tensor])
            return try tensor.values(as: Double.self)
        }
        #expect(sums == [[1], [1]])
    }
}
