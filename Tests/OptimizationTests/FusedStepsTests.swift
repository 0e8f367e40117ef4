import Failures
import Optimization
import TestSupport
import Testing
import Torch

/// Steps that are taken within the backward pass.
@Suite struct FusedStepsTests {
    /// Two layers that are computed again for their gradients, one of them run twice.
    private struct Network {
        let weights: [Tensor]
        let inputs: Tensor

        init(dtype: DType = .float32) throws {
            let generator = try Generator(seed: 11)
            inputs = try generator.normal([5, 8])
            weights = try (0..<3).map { _ in
                let weight = try (generator.normal([8, 8]) * 0.3).to(dtype: dtype)
                try weight.setRequiresGrad(true)
                return weight
            }
        }

        var groups: [ParameterGroup] {
            [
                ParameterGroup([("a", weights[0]), ("b", weights[1])], weightDecay: 0.1),
                ParameterGroup([("c", weights[2])]),
            ]
        }

        /// The third weight is not used.
        func loss() throws -> Tensor {
            var x = inputs
            for index in [0, 1, 1] {
                x = try checkpointed([x]) { try $0[0].linear(weights[index].to(dtype: .float32)).gelu() }
            }
            return try x.squared().mean()
        }

        func values() throws -> [[Float]] { try weights.map { try $0.values() } }
    }

    private func step(_ update: Int) -> TensorStep {
        TensorStep(
            learningRate: 0.01, gradientScale: 1, rounding: Draws(seed: 3, stream: 6, update: update, places: 0..<3))
    }

    private func arrivals(_ name: String) -> Int { name == "b" ? 2 : 1 }

    private static let optimizers: [@Sendable ([ParameterGroup]) throws -> any Optimizer] = [
        { try AdamW($0) }, { try AdamW8bit($0) }, { try Adafactor($0) },
    ]

    @Test(arguments: optimizers.indices, [DType.float32, .bfloat16])
    func `the weights are those of steps after the pass, bit for bit`(optimizer: Int, dtype: DType) throws {
        let (fused, plain) = (try Network(dtype: dtype), try Network(dtype: dtype))
        let (ours, theirs) = (
            try Self.optimizers[optimizer](fused.groups), try Self.optimizers[optimizer](plain.groups)
        )
        let steps = try FusedSteps(ours, arrivals: arrivals)
        for update in 1...4 {
            let norm = try steps(step(update)) { try fused.loss().backward() }
            try plain.loss().backward()
            #expect(try abs(norm - theirs.groups.gradientNorm()) < 1e-12)
            try theirs.stepEach(step(update)) { try plain.weights[$0].gradient() ?? .zeros([8, 8], dtype: dtype) }
            #expect(try fused.weights.allSatisfy { try $0.gradient() == nil })
        }
        #expect(try fused.values() == plain.values())
        #expect(ours.updates == 4)
        for (one, two) in zip(ours.state, theirs.state) {
            #expect(try one.tensor.values(as: Double.self) == two.tensor.values(), "\(one.name)")
        }
    }

    @Test func `a gradient that is not finite ends the steps`() throws {
        let network = try Network()
        let optimizer = try AdamW(network.groups)
        let steps = try FusedSteps(optimizer, arrivals: arrivals)
        let before = try network.values()
        let norm = try steps(step(1)) { try (network.loss() * .infinity).backward() }
        #expect(!norm.isFinite)
        #expect(try network.values() == before)
        #expect(try network.weights.allSatisfy { try $0.gradient() == nil })
        // The next one is as if there were none.
        #expect(try steps(step(2)) { try network.loss().backward() }.isFinite)
        #expect(try network.values() != before)
    }

    @Test func `a weight that is run more often than was said is found out`() throws {
        let network = try Network()
        let steps = try FusedSteps(AdamW(network.groups)) { _ in 1 }
        let failure = try expectedFailure { _ = try steps(step(1)) { try network.loss().backward() } }
        #expect(failure.what.contains("`b`") || "\(failure)".contains("`b`"), "\(failure)")
        let more = try Network()
        let awaiting = try FusedSteps(AdamW(more.groups)) { $0 == "b" ? 3 : 1 }
        let half = try expectedFailure { _ = try awaiting(step(1)) { try more.loss().backward() } }
        #expect("\(half)".contains("`b`"), "\(half)")
    }

    @Test func `hooks go with what set them`() throws {
        let network = try Network()
        var steps: FusedSteps? = try FusedSteps(AdamW(network.groups), arrivals: arrivals)
        _ = try steps?(step(1)) { try network.loss().backward() }
        steps = nil
        try network.loss().backward()
        #expect(try network.weights[0].gradient() != nil)
    }

    @Test func `Prodigy's step hangs on all tensors`() throws {
        let network = try Network()
        let prodigy = try Prodigy(network.groups)
        #expect(throws: Failure.self) { try prodigy.step(0, by: .zeros([8, 8]), step(1)) }
        #expect(throws: Failure.self) { _ = try Prodigy(Network(dtype: .bfloat16).groups) }
        #expect(!OptimizerChoice.prodigy(.init()).stepsTensorByTensor)
        #expect(OptimizerChoice.adafactor(.init()).stepsTensorByTensor)
    }
}
