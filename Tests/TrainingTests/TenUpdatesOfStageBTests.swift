import Cascade
import Diffusion
import Layers
import Optimization
import Settings
import TestSupport
import Testing
import Torch

/// Ten updates of Stage B whole, loss by loss against diffusers' network.
@Suite struct TenUpdatesOfStageB {
    @Test func `stage B learns as diffusers' does, with its noise and adaptive weights`() throws {
        let golden = try Golden("updates_stage_b")
        let store = ParameterStore(from: golden.parameters("weights"))
        let stageB = try StageB(.read(.parse(golden.arch, file: golden.path)), store.root)
        try store.finish()
        try store.setTrainable(true)
        func input(_ name: String, _ step: Int) throws -> Tensor {
            let stack = try #require(golden.tensors["in.\(name)"]).made()
            return try stack.selected(0, step % stack.size(0))
        }
        let adaptive = try AdaptiveLossWeight()
        var process = Diffusion()
        process.lossWeight = .adaptive(adaptive)
        let pyramid = PyramidNoise()
        let updates = Updates(golden)
        try updates.expectLosses(groups: ParameterGroup.decaying(store.parameters, by: 0.01), learner: adaptive) {
            step in
            let additions = try (0..<3).map { try input("addition.\($0)", step) }
            let epsilon = try pyramid(input("epsilon", step), additions)
            if step == 0 {
                let expected = try #require(golden.tensors["out.noise"]).made()
                #expect(try largestDifference(epsilon, expected) < 1e-6)
            }
            let noised = try process(input("x0", step), .init(epsilon: epsilon, level: .time(input("t", step))))
            let prediction = try stageB(
                noised.latents, time: noised.noiseCondition,
                .init(effnet: input("effnet", step), clip: input("clip", step)))
            return (noised, prediction)
        }
    }
}

/// The updates of a golden, made as the train loop makes them.
struct Updates {
    let golden: Golden

    init(_ golden: Golden) { self.golden = golden }

    /// Trains and expects the peer's losses.
    func expectLosses(
        groups: [ParameterGroup], learner: (any LossLearner)? = nil,
        predict: (Int) throws -> (noised: Diffusion.Noised, prediction: Tensor)
    ) throws {
        let optimizer = try AdamW(groups)
        let rate = try #require(golden.metadata["lr"].flatMap(Double.init))
        let expected = try #require(golden.tensors["out.loss"]).floats
        for (step, theirs) in expected.enumerated() {
            let (noised, prediction) = try predict(step)
            let perSample = try LossFunction.squared(prediction, noised.target)
            let loss = try (perSample * noised.lossWeight).mean()
            try learner?.update(logSNR: noised.logSNR, losses: perSample.detached())
            try loss.backward()
            try optimizer.step(learningRate: rate, gradientScale: GradientClipping(limit: 1)(groups).scale)
            try optimizer.clearGradients()
            let ours = try loss.item()
            #expect(abs(ours - Double(theirs)) < 1e-4 * Double(theirs), "update \(step): \(ours) and \(theirs)")
        }
    }
}
