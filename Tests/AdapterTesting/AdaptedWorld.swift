import AdapterKit
import Cascade
import JSON
import Layers
import TestSupport
import Torch
import Weights

/// A tiny base with its text model, in memory of its own, and a fixed question to ask it.
public struct AdaptedWorld {
    /// What adapters attach to.
    public let model: AdaptedModel
    /// Of the text encoder.
    public let textStore: ParameterStore

    /// Reads the tiny base into memory of its own.
    public init() throws {
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

    /// What the model predicts for fixed noise and two captions, [2, 16, 2, 3].
    public func answer(_ captions: [String] = ["a dog", "dog of a dog"]) throws -> Tensor {
        let generator = try Generator(seed: 21)
        let text = try unwrapped(model.text, "the world has a text model")
        let encoded = try text(captions)
        let conditions = StageC.Conditions(
            clipText: encoded.tokens, clipTextPooled: encoded.pooled,
            clipImage: try generator.normal([captions.count, 1, 8]))
        let latents = try generator.normal([captions.count, 16, 2, 3])
        return try model.stageC(latents, time: generator.uniform([captions.count]), conditions)
    }

    /// Every number of the base.
    public func numbers() throws -> [[Float]] {
        try (model.stageC.store.tensors + textStore.tensors).map { try $0.tensor.values() }
    }
}

/// Moves an adapter away from where it started.
public func stir(_ adapter: any Adapter) throws {
    let generator = try Generator(seed: 33)
    for (_, tensor) in adapter.parameters {
        try withoutGradients { try tensor.assign(tensor + generator.normal(tensor.shape) * 0.3) }
    }
}

/// Writes an adapter as a run does.
@discardableResult
public func write(_ adapter: any Adapter, _ model: AdaptedModel, to path: String) throws -> AdapterContents {
    var contents = AdapterContents(base: model.base, steps: 12)
    try adapter.write(to: &contents)
    try contents.write(to: path)
    return contents
}

/// The norm of the difference over the norm of what is expected.
public func relativeError(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
    try require(ours.shape == theirs.shape, "shape \(theirs.shape), got \(ours.shape)")
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
