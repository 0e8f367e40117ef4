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

/// Brings networks into memory, each by itself, so that whoever needs one after the other need not hold them all.
public struct ModelLoading {
    /// Where each network comes from, and the dtypes and device it is loaded to.
    public let files: ModelFiles
    /// The processes that share a frozen Stage C, or a stage that is trained whole; nil where each has all of it.
    public var group: ProcessGroup?

    /// Loads nothing yet.
    public init(_ files: ModelFiles) { self.files = files }

    // MARK: Stages

    /// What the weights of a file are kept in.
    func dtype(of weights: any NamedTensors) -> DType {
        guard files.keepsStoredDType else { return files.dtype }
        let stored =
            weights.entries.lazy.filter { !QuantisedMatrix.isPiece($0.name) }.map(\.dtype)
            .first(where: \.isFloatingPoint) ?? .float32
        return [.float32, .float64].contains(stored) ? .float32 : .bfloat16
    }

    /// How the matrices of a frozen network are kept; nil where they stay as they are stored.
    /// - Throws: a failure of the input where the file has them quantised otherwise than is asked for.
    /// - Parameter weights: nil where the file is not here.
    public func matrices(_ part: ModelPart, of weights: (any NamedTensors)?) throws -> MatrixStorage? {
        let stored = weights.flatMap { QuantisedMatrix.keys(in: $0).values.first }
        guard let asked = files.baseDType, asked != stored else { return nil }
        if let stored {
            throw Failure.input(
                "the weights of \(part.description) are quantised otherwise", at: weights.map { .init($0.path) },
                expected: "\(asked.rawValue), as `base_dtype` says", got: stored.rawValue,
                advice: "leave `base_dtype` out, or name the weights that they were made from")
        }
        return part.matrices(in: asked)
    }

    /// What a stage whose weights are kept in `dtype` computes in: what is asked for, else that, but float32 where the
    /// processor has no fast bfloat16 products.
    public func computeDType(_ dtype: DType) -> DType {
        files.computeDType ?? (files.device == .cpu && !Processor.isFastAtBFloat16 ? .float32 : dtype)
    }

    /// The trained Stage C that adapters are put on, frozen, with what is known of it.
    public func base() throws -> (stageC: StageC, identity: BaseModel) {
        let stage = try ModelFiles.named(files.stageC, ModelPart.stageC.description)
        let stageC = try stageC()
        let file = stage.weights?.name ?? ""
        // Of a quantised file the weights that it was made from, which an adapter also belongs to.
        let origin = try Tensors.open(file).metadata[QuantisedFile.originKey]
        let digest = try origin ?? SHA256.hex(ofFiles: Tensors.files(at: file))
        return (stageC, BaseModel(name: stage.architecture.name, sha256: digest))
    }

    /// The trained Stage C, frozen.
    public func stageC() throws -> StageC {
        let file = try weights(.stageC, files.stageC?.weights, mayBeQuantised: true)
        let (dtype, matrices) = (dtype(of: file), try matrices(.stageC, of: file))
        let blocks = try group.map { group in
            let outline = ParameterStore(
                from: Placeholders(quantised: QuantisedMatrix.keys(in: file)), dtype: dtype, matrices: matrices)
            let network = try StageC(files.stageCArchitecture(), outline)
            return try SharedBlocks(BlockLayout(of: outline, network.blocks), among: group)
        }
        let store = ParameterStore(
            from: StoredParameters(file), dtype: dtype, matrices: matrices, blocks: blocks, device: files.device)
        let stageC = try StageC(files.stageCArchitecture(), store)
        stageC.shared = blocks
        stageC.isCheckpointing = files.isCheckpointing
        stageC.computeDType = computeDType(dtype)
        return stageC
    }

    /// The trained Stage B, frozen.
    public func stageB() throws -> StageBDenoiser {
        let file = try weights(.stageB, files.stageB?.weights, mayBeQuantised: true)
        let dtype = dtype(of: file)
        let store = ParameterStore(
            from: StoredParameters(file), dtype: dtype, matrices: try matrices(.stageB, of: file), device: files.device)
        let stageB = try StageB(files.stageBArchitecture(), store.root)
        try store.finish()
        return StageBDenoiser(stageB, dtype: computeDType(dtype))
    }

    /// Stage A, in float32.
    public func stageA() throws -> StageA { try .load(weights(.stageA, files.stageA), device: files.device) }

    /// What makes images of Stage C's latents. Stage A takes its products in what Stage B computes in, as both do under the
    /// reference's autocast.
    func stagesBAndA() throws -> (StageBDenoiser, StageA) {
        let (stageB, stageA) = (try stageB(), try stageA())
        stageA.productDType = stageB.dtype
        return (stageB, stageA)
    }

    // MARK: Small networks, in float32

    /// The encoder of images to Stage C's latents, frozen.
    public func effnet() throws -> EffNetEncoder {
        try .load(weights(.effnet, files.effnet), files.encoderArchitecture(), device: files.device)
    }

    /// The decoder that shows Stage C's latents as small images, frozen.
    public func previewer() throws -> Previewer {
        try .load(weights(.previewer, files.previewer), device: files.device)
    }

    // MARK: Towers

    /// CLIP's text encoder with its tokenizer, of a folder in the layout of transformers, frozen.
    /// - Throws: a failure of the input where the folder lacks a file or has a damaged one.
    public func textEncoder() throws -> TextEncoder {
        let source = try ModelFiles.named(files.text, ModelPart.clipText.description)
        let folder = try source.folder()
        let weights = try Checkpoint(folder).tensors(of: .clipText, mayBeQuantised: true)
        let isAsked = try matrices(.clipText, of: weights) != nil
        let encoder = try TextEncoder.load(
            folder: folder, vocabulary: Vocabulary.folder(of: folder), dtype: dtype(of: weights),
            base: isAsked ? files.baseDType : nil, device: files.device)
        encoder.tower.isCheckpointing = files.isCheckpointing
        encoder.tower.isLeavingFiles = true
        return encoder
    }

    /// CLIP's image encoder in a folder of transformers' layout; nil where none is named.
    /// - Throws: a failure of the input where it does not suit Stage C, too.
    public func imageEncoder() throws -> ImageEncoder? { try files.image.map(imageEncoder(at:)) }

    /// Likewise, of a tower that is named.
    public func imageEncoder(at source: ModelFiles.Source) throws -> ImageEncoder {
        let folder = try source.folder()
        let configuration = try CLIPVisionConfiguration(
            JSON.read("\(folder)/config.json"), file: "\(folder)/config.json")
        try files.check(configuration)
        let file = try weights(.clipVision, .init(key: source.key, name: folder, place: source.place))
        let store = ParameterStore(
            from: StoredParameters(file, ignoring: CLIPVisionTower.ignores), dtype: dtype(of: file),
            device: files.device)
        let tower = try CLIPVisionTower(configuration, store.root)
        try store.finish()
        return ImageEncoder(tower: tower, isAntialiased: files.isImageAntialiased)
    }

    // MARK: Files

    /// The tensors of a part in the file or folder that is named for it, in whatever layout.
    /// - Parameter mayBeQuantised: whether the reader takes matrices in fewer bits.
    public func weights(
        _ part: ModelPart, _ source: ModelFiles.Source?, mayBeQuantised: Bool = false
    ) throws -> any NamedTensors {
        let source = try ModelFiles.named(source, part.description)
        try Self.require(source.name, part.description, at: source.place)
        return try Checkpoint(source.name).tensors(of: part, mayBeQuantised: mayBeQuantised)
    }

    /// The path of weights under a key that may be left out.
    /// - Parameter what: is in the file.
    public static func path(_ key: String, to what: String, _ fields: inout Fields) throws -> String? {
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
}
