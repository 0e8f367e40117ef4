import AdapterKit
import Cascade
import Diffusion
import JSON
import Layers
import LearnedTokens
import LoRA
import Optimization
import Settings
import TestSupport
import Testing
import Torch
import Weights

/// Ten updates of each kind of adapter, and of Stage C whole, loss by loss against the peers; a hundred of LoRA and of a
/// ControlNet.
@Suite struct TenUpdates {
    @Test func `LoRA learns as peft's does`() throws {
        let lesson = try Lesson("updates_lora")
        let lora = try lesson.lora(on: [".attn", "channelwise"])
        try lesson.expectLosses(groups: ParameterGroup.decaying(lora.parameters, by: 0.01)) { step in
            try lesson.conditions(step)
        }
    }

    @Test func `LoRA and learned tokens learn together`() throws {
        let lesson = try Lesson("updates_lora_tokens")
        let lora = try lesson.lora(on: [".attn"])
        let tower = try lesson.tower()
        let tokens = try lesson.tokens(of: tower)
        let groups = [lora as any Adapter, tokens].map {
            ParameterGroup($0.parameters, weightDecay: $0.decays ? 0.01 : 0)
        }
        try lesson.expectLosses(groups: groups) { try lesson.encoded($0, by: tower) }
        let expected = try #require(lesson.golden.tensors["after.deltas"]).floats
        let deltas = try #require(tokens.parameters.first).tensor.detached().values(as: Float.self)
        let largest = expected.map(abs).max() ?? 0
        for (ours, theirs) in zip(deltas, expected) { #expect(abs(ours - theirs) < 0.02 * largest) }
    }

    @Test func `LoRA of the text encoder learns at its own rate`() throws {
        let lesson = try Lesson("updates_lora_text")
        let tower = try lesson.tower()
        let model = AdaptedModel(
            stageC: lesson.model.stageC,
            text: TextEncoder(tower: tower, tokenizer: try CLIPTokenizer(folder: TinyWorld.shared().text)),
            base: lesson.model.base)
        let lora = try lesson.lora(on: [".attn"], text: ["q_proj", "k_proj", "v_proj"], of: model)
        let rates = try ["text_lr", "lr"].map { try #require(lesson.golden.metadata[$0].flatMap(Double.init)) }
        let ofText = lora.parameters.filter { LoRA.kind.rateKey(of: $0.name) == "text_lr" }
        let groups =
            ParameterGroup.decaying(lora.parameters.filter { LoRA.kind.rateKey(of: $0.name) != "text_lr" }, by: 0.01)
            + ParameterGroup.decaying(ofText, by: 0.01, rateFactor: rates[0] / rates[1])
        try lesson.expectLosses(groups: groups) { try lesson.encoded($0, by: tower) }
        let after = lesson.golden.part("after")
        #expect(ofText.count { after[$0.name] != nil } == after.count && !after.isEmpty)
        for (name, tensor) in ofText where after[name] != nil {
            #expect(try largestDifference(tensor.detached(), #require(after[name]).made()) < 1e-4, "\(name)")
        }
    }

    @Test(arguments: ["updates_controlnet_simple", "updates_controlnet_effnet"])
    func `a ControlNet learns as torch's does`(name: String) throws {
        let lesson = try Lesson(name)
        let golden = lesson.golden
        let isDrawn = golden.part("controlnet").isEmpty
        let store = ParameterStore(from: isDrawn ? lesson.drawnTrunk : golden.parameters("controlnet"))
        let trunk = try ControlNetTrunk(lesson.trunk(), store.root)
        try store.finish()
        try store.setTrainable(true)
        try lesson.expectLosses(groups: ParameterGroup.decaying(store.parameters, by: 0.01)) { step in
            var conditions = try lesson.conditions(step)
            conditions.injections = try trunk(lesson.input("image", step))
            return conditions
        }
    }

    @Test func `stage C learns as diffusers' does`() throws {
        let lesson = try Lesson("updates_stage_c")
        let store = lesson.model.stageC.store
        try store.setTrainable(true)
        try lesson.expectLosses(groups: ParameterGroup.decaying(store.parameters, by: 0.01)) { step in
            try lesson.conditions(step)
        }
    }
}

/// A golden of updates, with its frozen base.
private struct Lesson {
    let golden: Golden
    let arch: JSON
    let model: AdaptedModel

    init(_ name: String) throws {
        golden = try Golden(name)
        arch = try JSON.parse(golden.arch, file: golden.path)
        let text = (arch["stage_c"] ?? arch).text()
        let configuration = try Setting.parse(text, file: golden.path).read(as: StageCConfiguration.self)
        let stageC = try StageC(configuration, ParameterStore(from: golden.parameters("weights")))
        model = AdaptedModel(stageC: stageC, text: nil, base: BaseModel(name: name, sha256: ""))
    }

    /// The step's slice of a stacked input; a shorter stack starts over.
    func input(_ name: String, _ step: Int) throws -> Tensor {
        let stack = try #require(golden.tensors["in.\(name)"]).made()
        return try stack.selected(0, step % stack.size(0))
    }

    func conditions(_ step: Int) throws -> StageC.Conditions {
        StageC.Conditions(
            clipText: try input("clip_text", step), clipTextPooled: try input("clip_text_pooled", step),
            clipImage: try input("clip_img", step))
    }

    func tower() throws -> CLIPTextTower {
        let store = ParameterStore(from: golden.parameters("tower", ignoring: CLIPTextTower.ignores))
        let tower = try CLIPTextTower(.init(#require(arch["clip_text"]), file: golden.path), store.root)
        try store.finish()
        return tower
    }

    /// The conditions of the step's captions.
    func encoded(_ step: Int, by tower: CLIPTextTower) throws -> StageC.Conditions {
        let text = try tower(input("tokens", step), attentionMask: input("attention_mask", step))
        return StageC.Conditions(
            clipText: text.hidden, clipTextPooled: try text.pooled.unsqueezed(1), clipImage: try input("clip_img", step)
        )
    }

    /// Trains as the train loop does, and expects the peer's losses.
    func expectLosses(groups: [ParameterGroup], conditions: (Int) throws -> StageC.Conditions) throws {
        try Updates(golden).expectLosses(groups: groups) { step in
            let noised = try Diffusion()(
                input("x0", step), Diffusion.Draw(epsilon: input("epsilon", step), level: .time(input("t", step))))
            return (noised, try model.stageC(noised.latents, time: noised.noiseCondition, conditions(step)))
        }
    }

    // MARK: What is trained

    /// Attached, with the golden's matrices.
    func lora(on filters: [String], text: [String] = [], of other: AdaptedModel? = nil) throws -> ModuleAdapter<LoRA> {
        let rank = try #require(golden.metadata["rank"].flatMap(Int.init))
        let alpha = try #require(golden.metadata["alpha"].flatMap(Double.init))
        let lora = try ModuleAdapter(
            LoRA(rank: rank, alpha: alpha), on: ModuleSelection(filters, text: text), of: other ?? model,
            generator: Generator(seed: 1))
        #expect(lora.parameters.map(\.name).sorted() == golden.part("adapter").keys.sorted())
        for (name, tensor) in lora.parameters {
            let value = try #require(golden.tensors["adapter.\(name)"]).made()
            try tensor.assign(value)
        }
        try lora.attach()
        return lora
    }

    /// Attached, with deltas of zero on the golden's rows.
    func tokens(of tower: CLIPTextTower) throws -> LearnedTokens {
        let ids = try #require(golden.tensors["tokens.indices"]).made()
        let described = try ids.values(as: Int.self).map { #"{"text":"\#($0)","id":\#($0),"new":false}"# }
        let scratch = try Scratch()
        let start = try tower.tokenTable.weight.gathered(0, ids)
        try SafetensorsWriter.write(
            [("tokens.start", start), ("tokens.delta", .zeros(start.shape))],
            metadata: [
                "format": AdapterFile.format, "format_version": AdapterFile.version, "kind": LearnedTokens.kind.name,
                "tokens": "[" + described.joined(separator: ",") + "]",
            ], to: scratch["tokens"])
        let tokens = try LearnedTokens(AdapterFile(scratch["tokens"]), tower: tower)
        try tokens.attach()
        return tokens
    }

    func trunk() throws -> ControlNetTrunk.Configuration {
        let values = try #require(arch["controlnet"])
        let mode = try #require(values["bottleneck_mode"]?.stringValue.flatMap(ControlNetTrunk.BottleneckMode.init))
        return ControlNetTrunk.Configuration(
            inputs: try #require(values["c_in"]?.intValue), projected: try #require(values["c_proj"]?.intValue),
            blocks: try #require(values["proj_blocks"]?.arrayValue).compactMap(\.intValue), bottleneckMode: mode)
    }

    /// Drawn from their names, each projection's last layer zero as training starts.
    var drawnTrunk: any ParameterSource { NewProjections(drawn: golden.drawnParameters) }
}

private struct NewProjections: ParameterSource {
    let drawn: any ParameterSource

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        key.hasPrefix("projections.") && key.hasSuffix(".2.weight")
            ? try .zeros(shape) : try drawn.value(key, shape: shape, initial: initial)
    }

    func finish() throws {}
}
