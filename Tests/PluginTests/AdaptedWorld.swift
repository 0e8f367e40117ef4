import AdapterKit
import Cascade
import JSON
import Layers
import LearnedTokens
import LoRA
import Settings
import TestSupport
import Testing
import Torch
import Weights

/// The adapters that keep one contract, each as a configuration asks for it; a new one is added here.
enum AdapterCase: String, CaseIterable {
    case loraFromReference = "{module_filters: [.attn, channelwise], rank: 2, lora_alpha: 3, lora_init: reference}"
    case loraFromKaiming = "{module_filters: [.attn, channelwise], rank: 2, lora_alpha: 3, lora_init: kaiming}"
    case loraOfConvolutions = """
        {module_filters: [depthwise, embedding, scalers, clf], rank: 12, lora_alpha: 3, lora_init: kaiming}
        """
    case loraOfText = """
        {module_filters: [.attn], text_module_filters: [self_attn, mlp.fc, text_projection], rank: 2, lora_alpha: 3,
         lora_init: kaiming, lora_dropout: 0.3}
        """
    case tokens = "{train_tokens: [['^dog</w>$', null], ['^a</w>$', null]]}"

    private var kind: any AdapterKind {
        switch self {
        case .loraFromReference, .loraFromKaiming, .loraOfConvolutions, .loraOfText: LoRA.kind
        case .tokens: LearnedTokens.kind
        }
    }

    func make(for world: AdaptedWorld, seed: UInt64 = 4) throws -> any Adapter {
        var fields = try Setting.parse(rawValue, file: "adapter.yaml").fields()
        let plan = try kind.plan(&fields)
        try fields.finish()
        return try #require(plan).make(world.model, Generator(seed: seed))
    }

    func read(_ path: String, for world: AdaptedWorld) throws -> any Adapter {
        let read = try kind.read(AdapterFile(path), for: world.model.networks)
        return try #require(read)
    }
}

/// A tiny base with its text model, in memory of its own, and a fixed question to ask it.
struct AdaptedWorld {
    let model: AdaptedModel
    /// Of the text tower.
    let textStore: ParameterStore

    init() throws {
        let tiny = try TinyWorld.shared()
        let store = ParameterStore(from: Copied(try SafetensorsFile(tiny.base)))
        let stageC = try StageC(TinyWorld.architecture, store)
        textStore = ParameterStore(from: Copied(try SafetensorsFile("\(tiny.text)/model.safetensors")))
        let tower = try CLIPTextTower(
            .init(JSON.read("\(tiny.text)/config.json"), file: "config.json"), textStore.root)
        let text = TextEncoder(tower: tower, tokenizer: try CLIPTokenizer(folder: tiny.text))
        model = AdaptedModel(
            stageC: stageC, text: text, base: BaseModel(name: "tiny", sha256: String(repeating: "0", count: 64)))
    }

    /// What the model predicts for fixed noise and two captions.
    func answer(_ captions: [String] = ["a dog", "dog of a dog"]) throws -> Tensor {
        let generator = try Generator(seed: 21)
        let text = try #require(model.text)
        let encoded = try text(captions)
        let conditions = StageC.Conditions(
            clipText: encoded.tokens, clipTextPooled: encoded.pooled,
            clipImage: try generator.normal([captions.count, 1, 8]))
        let latents = try generator.normal([captions.count, 16, 2, 3])
        return try model.stageC(latents, time: generator.uniform([captions.count]), conditions)
    }

    /// Every number of the base.
    func numbers() throws -> [[Float]] {
        try (model.stageC.store.tensors + textStore.tensors).map { try $0.tensor.values() }
    }
}

/// Moves an adapter away from where it started.
func stir(_ adapter: any Adapter) throws {
    let generator = try Generator(seed: 33)
    for (_, tensor) in adapter.parameters {
        try withoutGradients { try tensor.assign(tensor + generator.normal(tensor.shape) * 0.3) }
    }
}

/// Writes an adapter as a run does.
@discardableResult
func write(_ adapter: any Adapter, _ model: AdaptedModel, to path: String) throws -> AdapterContents {
    var contents = AdapterContents(base: model.base, steps: 12)
    try adapter.write(to: &contents)
    try contents.write(to: path)
    return contents
}

/// The norm of the difference over the norm of what is expected.
func relativeError(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
    try #require(ours.shape == theirs.shape)
    return try (ours - theirs).norm().item() / theirs.norm().item()
}

/// Weights that no file lies under, so that a test may change them.
private struct Copied: ParameterSource {
    let source: StoredParameters

    init(_ file: SafetensorsFile) { source = StoredParameters(file) }

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        try source.value(key, shape: shape, initial: initial).cloned()
    }

    func finish() throws { try source.finish() }
}
