import AdapterKit
import Cascade
import Diffusion
import Layers
import TestSupport
import Testing
import Torch

@testable import Generation

@Suite struct DenoiserTests {
    private func stageC() throws -> StageCDenoiser {
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 3)))
        let stageC = try StageC(TinyWorld.architecture, store)
        if let last = store["clf.1.weight"] { try last.assign(Generator(seed: 4).normal(last.shape) * 0.2) }
        return StageCDenoiser(AdaptedModel(stageC: stageC, text: nil, base: BaseModel(name: "tiny", sha256: "")))
    }

    private func text(_ seed: UInt64) throws -> TextEncoder.Encoded {
        let generator = try Generator(seed: seed)
        return TextEncoder.Encoded(tokens: try generator.normal([1, 5, 16]), pooled: try generator.normal([1, 1, 16]))
    }

    @Test func `an image embedding that is left out counts as zeros`() throws {
        let stage = try stageC()
        var zeros = ConditionInputs(captions: ["a dog"])
        zeros.imageEmbeddings = try .zeros([1, 1, 8])
        let without = try stage.conditions(ConditionInputs(captions: ["a dog"]), text: text(1))
        let with = try stage.conditions(zeros, text: text(1))
        #expect(try largestDifference(without.clipImage, with.clipImage) == 0)
    }

    @Test func `EffNet latents that are left out count as zeros`() throws {
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 3)))
        let stage = StageBDenoiser(try StageB(TinyStageB.configuration, store.root))
        if let last = store["clf.1.weight"] { try last.assign(Generator(seed: 4).normal(last.shape) * 0.2) }
        var zeros = ConditionInputs(captions: ["a dog"])
        zeros.effnet = try .zeros([1, 16, 3, 3])
        let (latents, time) = (try Generator(seed: 5).normal([1, 4, 8, 8]), try Tensor.full([1], 0.5))
        let predictions = try [zeros, zeros.unconditional].map { inputs in
            try withoutGradients {
                try stage.predict(latents, time: time, stage.conditions(inputs, text: text(1)))
            }
        }
        #expect(try largestDifference(predictions[0], predictions[1]) == 0)
        #expect(try predictions[0].squared().mean().item() > 0)
    }

    @Test func `guidance of strength 1 is no guidance, and a stronger one leads elsewhere`() throws {
        let stage = try stageC()
        let inputs = ConditionInputs(captions: ["a dog"])
        let conditions = try GuidedConditions(
            stage.conditions(inputs, text: text(1)),
            unconditional: stage.conditions(inputs.unconditional, text: text(2)))
        func sampled(_ guidance: Guidance?) throws -> Tensor {
            var sampler = Sampler(Diffusion(), guidance: guidance)
            sampler.steps = 3
            let draws = Draws(seed: 6, places: 0..<1)
            return try stage.sample(
                from: draws.normal(.noise, [16, 4, 4]), with: sampler, conditions, draws: draws)
        }
        let plain = try sampled(nil)
        #expect(try largestDifference(sampled(Guidance(strength: 1)), plain) < 1e-4)
        #expect(try largestDifference(sampled(Guidance(strength: 5)), plain) > 1e-2)
    }

    @Test func `what is kept from step to step, and both halves in one batch, predict what each by itself does`() throws
    {
        let stage = try stageC()
        var inputs = ConditionInputs(captions: ["a dog"])
        inputs.injections = [1: try Generator(seed: 9).normal([1, 16, 3, 3])]
        let plain = try (
            stage.conditions(inputs, text: text(1)), stage.conditions(inputs.unconditional, text: text(2))
        )
        var guided = GuidedConditions(plain.0, unconditional: plain.1)
        let weight = try #require(stage.model.stageC.store["down_blocks.0.2.attention.attn.in_proj_weight"])
        try withoutGradients {
            for step in 0..<4 {
                let latents = try Generator(seed: 10 + UInt64(step)).normal([1, 16, 4, 4])
                let time = try Tensor.full([1], 0.9 - 0.2 * Double(step))
                if step == 2 {
                    try weight.assign(weight * 2)
                    guided.forget()
                }
                let made = try stage.predict(latents, time: time, guided, isGuided: step != 1)
                let alone = try (
                    stage.predict(latents, time: time, plain.0), stage.predict(latents, time: time, plain.1)
                )
                #expect(try largestDifference(made.conditioned, alone.0) < 1e-5)
                #expect((made.free != nil) == (step != 1))
                if let free = made.free { #expect(try largestDifference(free, alone.1) < 1e-5) }
            }
        }
    }

    @Test func `Stage B predicts with what is kept what it does without`() throws {
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 3)))
        let stage = StageBDenoiser(try StageB(TinyStageB.configuration, store.root))
        if let last = store["clf.1.weight"] { try last.assign(Generator(seed: 4).normal(last.shape) * 0.2) }
        var inputs = ConditionInputs(captions: ["a dog"])
        inputs.effnet = try Generator(seed: 8).normal([1, 16, 3, 3])
        let plain = try (
            stage.conditions(inputs, text: text(1)), stage.conditions(inputs.unconditional, text: text(2))
        )
        let guided = GuidedConditions(plain.0, unconditional: plain.1)
        try withoutGradients {
            for step in 0..<2 {
                let latents = try Generator(seed: 10 + UInt64(step)).normal([1, 4, 8, 8])
                let time = try Tensor.full([1], 0.5)
                let made = try stage.predict(latents, time: time, guided, isGuided: true)
                #expect(try largestDifference(made.conditioned, stage.predict(latents, time: time, plain.0)) == 0)
                let free = try #require(made.free)
                #expect(try largestDifference(free, stage.predict(latents, time: time, plain.1)) == 0)
            }
        }
    }
}
