import Failures
import Glibc
import TestSupport
import Testing
import Torch

@Suite struct AutogradTests {
    private let device: Device

    init() throws { device = try testDevice() }

    private func leaf(_ values: [Float], _ shape: [Int]? = nil) throws -> Tensor {
        let leaf = try Tensor(values, shape: shape ?? [values.count]).to(device: device)
        try leaf.setRequiresGrad(true)
        return leaf
    }

    private func gradient(_ leaf: Tensor) throws -> [Double] {
        let gradient = try leaf.gradient()
        return try #require(gradient).values()
    }

    private func expectClose(_ ours: [Double], _ expected: [Double], _ bar: Double = 1e-5) {
        #expect(ours.count == expected.count)
        for (value, wanted) in zip(ours, expected) {
            #expect(abs(value - wanted) <= bar * max(1, abs(wanted)), "\(ours) \(expected)")
        }
    }

    @Test func `gradients are those of the closed forms`() throws {
        let points: [Double] = [0.3, 0.7, 1.6, 2.9]
        func derivative(_ function: (Tensor) throws -> Tensor, _ closed: (Double) -> Double) throws {
            let x = try leaf(points.map(Float.init))
            try function(x).sum().backward()
            expectClose(try gradient(x), points.map(closed))
        }
        try derivative({ try $0.pow(3) }, { 3 * $0 * $0 })
        try derivative({ try $0.exp() }, exp)
        try derivative({ try $0.log() }, { 1 / $0 })
        try derivative({ try $0.sqrt() }, { 0.5 / sqrt($0) })
        try derivative({ try 2 / $0 }, { -2 / ($0 * $0) })
        try derivative({ try 3 - $0 * 2 }, { _ in -2 })
        try derivative({ try $0.tanh() }, { 1 - tanh($0) * tanh($0) })
        try derivative({ try $0.sin() }, cos)
        try derivative({ try $0.sigmoid() }, { exp(-$0) / pow(1 + exp(-$0), 2) })
        try derivative({ try $0.silu() }, { (1 + exp(-$0) * (1 + $0)) / pow(1 + exp(-$0), 2) })
        try derivative(
            { try $0.gelu() }, { 0.5 * (1 + erf($0 / sqrt(2))) + $0 * exp(-$0 * $0 / 2) / sqrt(2 * Double.pi) })
        try derivative({ try $0.clamped(min: 0.5, max: 2) }, { $0 > 0.5 && $0 < 2 ? 1 : 0 })
    }

    @Test func `a product's gradients are products`() throws {
        let a = try leaf([1, 2, 3, 4, 5, 6], [2, 3])
        let b = try leaf([1, -1, 2, 0, 1, 3], [3, 2])
        try a.matmul(b).backward(Tensor([Float(1), 0, 2, 1], shape: [2, 2]).to(device: device))
        // G·Bᵀ and Aᵀ·G.
        #expect(try gradient(a) == [1, 2, 1, 1, 4, 5])
        #expect(try gradient(b) == [9, 4, 12, 5, 15, 6])
    }

    @Test func `gradients add up until they are cleared`() throws {
        let x = try leaf([2])
        for _ in 1...3 { try x.squared().backward() }
        #expect(try gradient(x) == [12])
        try x.setGradient(nil)
        #expect(try x.gradient() == nil)
        try x.setGradient(.full([1], 5, device: device))
        #expect(try gradient(x) == [5])
    }

    @Test func `nothing is recorded where gradients are off`() throws {
        let x = try leaf([2])
        let quiet = try withoutGradients { try x.squared() }
        #expect(!quiet.requiresGrad)
        let loud = try withoutGradients { try withGradients(enabled: true) { try x.squared() } }
        #expect(loud.requiresGrad)
        #expect(try !loud.detached().requiresGrad)
        #expect(throws: Failure.self) { try withoutGradients { throw Failure.run("on purpose") } }
        #expect(try gradientsEnabled())
        #expect(try !expectedFailure { try quiet.backward() }.what.isEmpty)
        #expect(try expectedFailure { try leaf([1, 2]).squared().backward() }.what.contains("scalar"))
        #expect(try expectedFailure { try loud.setRequiresGrad(false) }.what.contains("leaf"))
        #expect(try expectedFailure { try x.setGradient(.zeros([3], device: device)) }.what.contains("does not fit"))
        _ = try expectedFailure { try x.setGradient(.zeros([1], dtype: .float64, device: device)) }
    }

    @Test func `a node's backward pass is Swift's`() throws {
        let (x, y) = (try leaf([1, 2]), try leaf([3, 4]))
        let unused = try leaf([5, 6])
        let outputs = try withoutGradients { [try x * y, try x + y] }
        try recordNode(inputs: [x, y, unused], outputs: outputs) { gradients in
            let product = try #require(gradients[0])
            #expect(gradients[1] == nil)  // nothing came of the sum
            return [try product * y, try product * x, nil]
        }
        try (outputs[0] * 10).sum().backward()
        #expect(try gradient(x) == [30, 40])
        #expect(try gradient(y) == [10, 20])
        #expect(try unused.gradient() == nil)
    }

    @Test func `a backward pass that fails is a failure with its text`() throws {
        let x = try leaf([1, 2])
        let output = try withoutGradients { try x * 2 }
        try recordNode(inputs: [x], outputs: [output]) { _ in
            throw Failure.input("the moon is in the way", got: String(repeating: "ö", count: 5000))
        }
        let failure = try expectedFailure { try output.sum().backward() }
        #expect(failure.what.contains("the moon is in the way"))
        #expect(try x.gradient() == nil)
        // A gradient of another shape is found out too, and the process goes on.
        let second = try withoutGradients { try x * 2 }
        try recordNode(inputs: [x], outputs: [second]) { _ in [try .zeros([7])] }
        _ = try expectedFailure { try second.sum().backward() }
        try x.squared().sum().backward()
        #expect(try gradient(x) == [2, 4])
    }

    @Test func `a checkpoint computes and learns as the plain body does`() throws {
        func pass(isCheckpointed: Bool) throws -> (value: [Double], gradients: [[Double]]) {
            let generator = try Generator(seed: 4)
            let leaves = try [[3, 5], [3, 5], [4, 5]].map { shape in
                let leaf = try generator.normal(shape, device: device)
                try leaf.setRequiresGrad(true)
                return leaf
            }
            let frozen = try generator.normal([3, 4], device: device)
            let weight = leaves[2]  // captured, not handed in
            let body: ([Tensor]) throws -> Tensor = { inputs in
                try (inputs[0].silu() * inputs[1]).linear(weight).gelu() * inputs[2]
            }
            let inputs = [try leaves[0] * 2, leaves[1], frozen]
            let output = try isCheckpointed ? checkpointed(inputs, body) : body(inputs)
            try output.squared().sum().backward()
            return (try output.values(), try leaves.map(gradient))
        }
        let (plain, saving) = (try pass(isCheckpointed: false), try pass(isCheckpointed: true))
        #expect(plain.value == saving.value)
        for (ours, theirs) in zip(saving.gradients, plain.gradients) { expectClose(ours, theirs, 1e-6) }
        #expect(plain.gradients.allSatisfy { $0.contains { $0 != 0 } })
    }

    @Test func `a checkpoint of which nothing wants a gradient is computed once, one with a trained leaf alone twice`()
        throws
    {
        let (input, frozen, trained) = (
            try Tensor([2, 3] as [Float]), try Tensor([5, 7] as [Float]), try leaf([11, 13])
        )
        var runs: [String] = []
        func times(_ name: String, _ x: Tensor, _ factor: Tensor) throws -> Tensor {
            try checkpointed([x]) { inputs in
                runs.append(name)
                return try inputs[0] * factor
            }
        }
        let first = try times("frozen", input, frozen)
        #expect(!first.requiresGrad)
        let output = try times("frozen behind", times("trained", first, trained), frozen)
        #expect(runs == ["frozen", "trained", "frozen behind"])
        try output.sum().backward()
        #expect(runs == ["frozen", "trained", "frozen behind", "frozen behind", "trained"])
        #expect(try gradient(trained) == [2 * 5 * 5, 3 * 7 * 7])
    }

    @Test func `checkpoints nest, and a failure inside one arrives`() throws {
        let x = try leaf([0.5, 1.5])
        let output = try checkpointed([x]) { outer in
            try checkpointed([outer[0].squared()]) { try $0[0].exp() } * 3
        }
        try output.sum().backward()
        expectClose(try gradient(x), [0.5, 1.5].map { 6 * $0 * exp($0 * $0) })

        var runs = 0
        let broken = try checkpointed([x]) { inputs in
            runs += 1
            if runs == 2 { throw Failure.run("broken the second time") }
            return try inputs[0] * 2
        }
        #expect(try expectedFailure { try broken.sum().backward() }.what.contains("broken the second time"))
        #expect(try gradientsEnabled())
        #expect(throws: Failure.self) { _ = try checkpointed([x]) { _ in throw Failure.run("at once") } }
        #expect(try gradientsEnabled())
    }
}
