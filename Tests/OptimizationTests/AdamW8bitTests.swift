import Optimization
import TestSupport
import Testing
import Torch

/// AdamW with eight bits an element of state.
@Suite struct AdamW8bitTests {
    /// The definition's rounding, operation by operation; a processor without these operations is another device.
    @Test func `the matrix is the definition's to the last bit`() throws {
        let problem = try Problem()
        try problem.train(AdamW8bit(problem.groups()), 1...Problem.updates, .init(isClipped: false))
        guard problem.device == .cpu else { return }
        #expect(try problem.values()[0] == #require(problem.golden.tensors["adamw_8bit.matrix"]).floats)
    }

    @Test func `without the kernel it is the same`() throws {
        let (fused, general) = (try Problem(), try Problem())
        try fused.train(AdamW8bit(fused.groups()), 1...9)
        try general.train(AdamW8bit(general.groups(), isFused: false), 1...9)
        for (ours, theirs) in zip(fused.parameters, general.parameters) {
            #expect(try largestDifference(ours.detached(), theirs.detached()) < 1e-6)
        }
    }

    @Test func `bitsandbytes comes to the same place`() throws {
        let problem = try Problem(isEven: true)
        try problem.train(AdamW8bit(problem.groups()), 1...Problem.updates, .init(isClipped: false))
        #expect(try problem.distance(to: "bitsandbytes") < 5e-3)
    }

    /// A linear layer of 4096 weights learns another one.
    @Test func `losses fall as with float32`() throws {
        func losses(_ make: ([ParameterGroup]) throws -> any Optimizer) throws -> [Double] {
            let generator = try Generator(seed: 3)
            let (goal, inputs) = (try generator.normal([64, 64]), try generator.normal([128, 64]))
            let weight = try Tensor.zeros([64, 64])
            try weight.setRequiresGrad(true)
            let optimizer = try make([ParameterGroup([("weight", weight)], weightDecay: 0.01)])
            return try (1...50).map { _ in
                let loss = try inputs.linear(weight).meanSquaredError(to: inputs.linear(goal))
                try loss.backward()
                try optimizer.step(learningRate: 0.03)
                try optimizer.clearGradients()
                return try loss.item()
            }
        }
        let whole = try losses { try AdamW($0) }
        let quantised = try losses { try AdamW8bit($0) }
        #expect(whole[49] < whole[0] / 3)
        for (ours, theirs) in zip(quantised, whole) { #expect(abs(ours - theirs) < 0.02 * theirs) }
    }
}
