import AdapterKit
import AdapterTesting
import Cascade
import Layers
import LoRA
import Settings
import TestSupport
import Testing
import Torch

/// A golden of gradients: a base, a LoRA on it, and what it is asked.
struct Question {
    let golden: Golden
    let model: AdaptedModel
    let lora: ModuleAdapter<LoRA>

    init(_ name: String = "gradients_lora", on filters: [String] = [".attn", "channelwise"]) throws {
        golden = try Golden(name)
        let stageC = try StageC(
            Setting.parse(golden.arch, file: golden.path).read(as: StageCConfiguration.self),
            ParameterStore(from: golden.parameters("weights")))
        model = AdaptedModel(stageC: stageC, text: nil, base: BaseModel(name: "golden", sha256: ""))
        let rank = try #require(golden.metadata["rank"].flatMap(Int.init))
        let alpha = try #require(golden.metadata["alpha"].flatMap(Double.init))
        lora = try ModuleAdapter(
            LoRA(rank: rank, alpha: alpha), on: ModuleSelection(filters), of: model, generator: Generator(seed: 1))
        #expect(lora.parameters.map(\.name).sorted() == golden.part("adapter").keys.sorted())
        for (name, tensor) in lora.parameters {
            let value = try #require(golden.tensors["adapter.\(name)"]).made()
            try tensor.assign(value)
        }
    }

    private func input(_ name: String) throws -> Tensor { try #require(golden.tensors["in.\(name)"]).made() }

    /// What the model makes of the golden's inputs.
    func output() throws -> Tensor {
        var conditions = StageC.Conditions(
            clipText: try input("clip_text"), clipTextPooled: try input("clip_text_pooled"),
            clipImage: try input("clip_img"))
        if golden.tensors["in.cnet.1"] != nil { conditions.injections = [1: try input("cnet.1")] }
        return try model.stageC(input("x"), time: input("r"), conditions)
    }

    /// Expects output and gradients as `answers` has them.
    func expectAnswers(of answers: Golden) throws {
        let out = try output()
        let expected = try #require(answers.tensors["out.out"]).made()
        #expect(try relativeError(out, expected) < 1e-4)
        try out.meanSquaredError(to: input("target")).backward()
        for (name, tensor) in lora.parameters {
            let expected = try #require(answers.tensors["out.grad.\(name)"]).made()
            try expectGradient(of: tensor, expected, name)
        }
    }
}
