import AdapterKit
import Cascade
import Failures
import Files
import JSON
import Layers
import Models
import Settings
import Torch
import Weights

/// The frozen networks around Stage C.
struct Encoders {
    let effnet: EffNetEncoder
    let previewer: Previewer
    let text: TextEncoder
    /// Nil where the run names none: pictures' embeddings are zeros then.
    let pictures: PictureEncoder?
}

/// Brings the networks of a run into memory, each from the file its configuration names.
struct ModelLoading {
    let run: RunConfiguration
    let device: Device

    /// The architecture of Stage C that `model_version` names.
    func architecture() throws -> StageCConfiguration { try architecture(\.stageC) }

    /// The architecture of Stage B that `model_version` names.
    func stageBArchitecture() throws -> StageBConfiguration { try architecture(\.stageB) }

    private func architecture<Configuration: StageConfiguration & SettingReadable>(
        _ known: (ModelSize) -> Configuration?
    ) throws -> Configuration {
        if let size = ModelSize.named(run.modelVersion), let known = known(size) { return known }
        guard fileExists(run.modelVersion) else {
            throw Failure.input(
                "`model_version` is neither a known size nor an architecture file", at: run.places.model,
                expected:
                    "\(ModelSize.names(of: .stageC)), for Stage B \(ModelSize.names(of: .stageB, last: " or ")), or "
                    + "the path of a YAML file", got: run.modelVersion)
        }
        return try Setting.read(run.modelVersion).read()
    }

    /// The tensors of a part in the file or folder that a key names, in whatever layout.
    private func weights(_ part: ModelPart, _ path: String, at place: Failure.Place) throws -> any NamedTensors {
        try Self.require(path, part.description, at: place)
        return try Checkpoint(path).tensors(of: part)
    }

    /// The path under a key that may be left out.
    /// - Parameter what: is in the file.
    static func path(_ key: String, to what: String, _ fields: inout Fields) throws -> String? {
        guard let path: String = try fields.optional(key) else { return nil }
        try require(path, what, at: fields.setting[key]?.place)
        return path
    }

    /// - Throws: a failure of the input that names the key's place where there is neither a file nor a folder.
    private static func require(_ path: String, _ what: String, at place: Failure.Place?) throws {
        if fileExists(path) || Folder.isFolder(path) { return }
        throw Failure.input(
            "there is no file for the weights of \(what)", at: place,
            expected: "a file of weights, or a folder with one", got: path,
            advice: PublishedModel.command(toGet: path).map { "get it with: \($0)" }
                ?? "check the path; it is taken from the folder the command runs in")
    }

    /// What is wrong with a configuration of an adapter that names no base.
    var baseIsUnnamed: Failure {
        .input(
            "`generator_checkpoint_path` is missing", at: run.places.generator,
            expected: "the checkpoint of the base", advice: "an adapter on an untrained base would get no gradient")
    }

    /// The trained Stage C that adapters are put on, frozen, in the run's dtype.
    func base() throws -> (stageC: StageC, identity: BaseModel) {
        guard let path = run.generatorPath else {
            throw baseIsUnnamed
        }
        let file = try weights(.stageC, path, at: run.places.generator)
        let store = ParameterStore(from: StoredParameters(file), dtype: run.dtype ?? .float32, device: device)
        let stageC = try StageC(architecture(), store)
        stageC.isCheckpointing = run.isCheckpointing
        return (stageC, BaseModel(name: run.modelVersion, sha256: try SHA256.hex(ofFiles: Tensors.files(at: path))))
    }

    /// A Stage C to train whole, in float32: from a checkpoint, or drawn where the configuration names none.
    func trainable(_ generator: Generator) throws -> StageC {
        let stageC = try StageC(architecture(), ParameterStore(from: start(.stageC, generator), device: device))
        stageC.isCheckpointing = run.isCheckpointing
        try stageC.store.setTrainable(true)
        return stageC
    }

    /// A Stage B to train whole, likewise.
    func trainableStageB(_ generator: Generator) throws -> (stageB: StageB, store: ParameterStore) {
        let store = ParameterStore(from: try start(.stageB, generator), device: device)
        let stageB = try StageB(stageBArchitecture(), store.root)
        try store.finish()
        stageB.isCheckpointing = run.isCheckpointing
        try store.setTrainable(true)
        return (stageB, store)
    }

    private func start(_ part: ModelPart, _ generator: Generator) throws -> any ParameterSource {
        guard let path = run.generatorPath else { return CopiedParameters(DrawnParameters(generator)) }
        return CopiedParameters(StoredParameters(try weights(part, path, at: run.places.generator)))
    }

    func encoders() throws -> Encoders {
        let effnet = try effnet()
        let previewer = try Previewer.load(
            try weights(.previewer, run.decoderPath, at: run.places.decoder), device: device)
        return Encoders(effnet: effnet, previewer: previewer, text: try textEncoder(), pictures: try pictureEncoder())
    }

    func effnet() throws -> EffNetEncoder {
        try .load(try weights(.effnet, run.effnetPath, at: run.places.effnet), device: device)
    }

    /// Stage A, in float32.
    func stageA() throws -> StageA {
        try .load(try weights(.stageA, run.decoderPath, at: run.places.decoder), device: device)
    }

    func textEncoder() throws -> TextEncoder {
        let encoder = try TextEncoder.load(
            folder: ModelFolder.find(run.clipTextModel, at: run.places.text), dtype: run.dtype ?? .float32,
            device: device)
        encoder.tower.isCheckpointing = run.isCheckpointing
        return encoder
    }

    /// The picture tower in a folder of transformers' layout, where the run names one.
    private func pictureEncoder() throws -> PictureEncoder? {
        guard let name = run.clipImageModel else { return nil }
        let folder = try ModelFolder.find(name, at: run.places.image)
        let configuration = try CLIPVisionConfiguration(
            JSON.read("\(folder)/config.json"), file: "\(folder)/config.json")
        try check(configuration)
        let file = try weights(.clipVision, folder, at: run.places.image)
        let store = ParameterStore(
            from: StoredParameters(file, ignoring: CLIPVisionTower.ignores), dtype: run.dtype ?? .float32,
            device: device)
        let tower = try CLIPVisionTower(configuration, store.root)
        try store.finish()
        return PictureEncoder(tower: tower)
    }

    /// - Throws: a failure of the input where a picture tower does not make the embeddings that Stage C takes.
    func check(_ configuration: CLIPVisionConfiguration) throws {
        let width = try architecture().clipImageWidth
        guard configuration.projected == width, configuration.channels == 3 else {
            throw Failure.input(
                "this picture tower does not suit the model", at: run.places.image,
                expected: "embeddings of \(width) numbers (`c_clip_img`) of pictures with 3 channels",
                got: "\(configuration.projected) numbers, \(configuration.channels) channels")
        }
    }
}

/// Copies what another source gives, so that training never writes into a view of a file.
private struct CopiedParameters: ParameterSource {
    let source: any ParameterSource

    init(_ source: any ParameterSource) { self.source = source }

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        try source.value(key, shape: shape, initial: initial).cloned()
    }

    func finish() throws { try source.finish() }
}
