import Cascade
import Failures
import Files
import Generation
import JSON
import Layers
import Models
import Torch
import Weights

/// The networks of a run without their numbers: what they would take, and whether their files fit them.
///
/// Every parameter is one number seen in its whole shape, so that Stage C of 3.6 billion parameters stands in a
/// moment and takes no memory. Files that are there are checked key by key; only their headers are read.
struct PlannedModels {
    /// A file or folder that the run needs and that is not here.
    struct Missing: Equatable {
        let key: String
        let path: String
        /// Where the configuration names it.
        let place: Failure.Place

        /// What gets it, where anything known does.
        var command: String? { PublishedModel.command(toGet: path) }
    }

    /// A network that is only used.
    struct Frozen {
        let name: String
        let parameters: Int
        let bytes: Int
        /// Whether its numbers stay in the mapped file, as it is stored in the run's dtype.
        let isMapped: Bool
    }

    /// What a run trains or adapts.
    enum Network {
        case stageC(StageC)
        case stageB(StageBConfiguration, shapes: [[Int]])
    }

    /// The bytes of a stage that processes share, block by block: of a frozen base as it is kept, of a stage that is trained
    /// whole in float32.
    struct SharedStage {
        private let blocks: [Int]

        init(_ blocks: [Int]) { self.blocks = blocks }

        var bytes: Int { blocks.reduce(0, +) }
        /// What a pass forward and back gathers: the last two blocks are still there in the backward pass, and the first two of a frozen
        /// stage when the next pass begins.
        func gathered(isFrozen: Bool) -> Int {
            2 * bytes - (blocks.suffix(2) + (isFrozen ? blocks.prefix(2) : [])).reduce(0, +)
        }
        func share(of processes: Int) -> Int { (bytes + processes - 1) / processes }
        /// The one that is passed and the next.
        var twoBlocks: Int { 2 * (blocks.max() ?? 0) }
        /// Of the first blocks, which wait in host memory: their bytes, the two rows through which they take turns, and what
        /// they take there, for pinned memory comes in powers of two.
        func waiting(_ count: Int) -> (bytes: Int, rows: Int, pinned: Int) {
            let waiting = blocks.prefix(count)
            let rows = (0..<2).map { parity in
                waiting.enumerated().filter { $0.offset % 2 == parity }.map(\.element).max() ?? 0
            }
            let pinned = waiting.filter { $0 > 0 }.map { 1 << (Int.bitWidth - ($0 - 1).leadingZeroBitCount) }
            return (waiting.reduce(0, +), rows.reduce(0, +), pinned.reduce(0, +))
        }
    }

    /// The name of a frozen base.
    static let base = "base"

    /// Of the stage that is trained or adapted.
    var configuration: any StageConfiguration {
        switch network {
        case .stageC(let stageC): stageC.configuration
        case .stageB(let architecture, _): architecture
        }
    }

    let network: Network
    /// Where it can be shared out.
    private(set) var shared = SharedStage([])
    let loading: ModelLoading
    let frozen: [Frozen]
    let text: TextEncoder?
    let textConfiguration: CLIPTextConfiguration
    /// Of Stage B's latents.
    private(set) var stageA = StageAConfiguration()
    /// What shows those of Stage C.
    private(set) var previewer = Previewer.Configuration()
    private(set) var missing: [Missing] = []
    /// Pixels of an image's side for each of the latents': Stage C works on its encoder's, Stage B on Stage A's.
    let reduction: Int

    /// - Parameter trainsWhole: whether the stage itself is trained, in float32 and from scratch if it has no file.
    init(_ run: RunConfiguration, files: ModelFiles, trainsWhole: Bool) throws {
        var missing: [Missing] = []
        func file(
            _ part: ModelPart, _ path: String, _ key: String, _ place: Failure.Place, mayBeQuantised: Bool = false
        ) throws -> (any NamedTensors)? {
            guard Self.holdsWeights(path) else {
                missing.append(Missing(key: key, path: path, place: place))
                return nil
            }
            return try Checkpoint(path).tensors(of: part, mayBeQuantised: mayBeQuantised)
        }
        let dtype = run.dtype
        var frozen: [Frozen] = []
        func add(
            _ name: String, _ store: ParameterStore, _ file: (any NamedTensors)?, _ matrices: MatrixStorage? = nil
        ) {
            let codes = file.map { QuantisedMatrix.keys(in: $0) } ?? [:]
            let isStored = file?.entries.allSatisfy { entry in
                let dtype = matrices?.covers(entry.name, entry.shape) == true ? .bfloat16 : store.dtype
                return entry.dtype == dtype || codes[entry.name] != nil || QuantisedMatrix.isPiece(entry.name)
            }
            frozen.append(
                Frozen(
                    name: name, parameters: store.size.count, bytes: store.size.bytes,
                    isMapped: files.device == .cpu && matrices?.dtype.isQuantised != true && isStored == true))
        }
        loading = ModelLoading(files)

        if !trainsWhole && run.generatorPath == nil { throw run.baseIsUnnamed }
        reduction = try run.stage == .b ? StageAConfiguration().reduction : files.encoderArchitecture().stride
        let baseFile = try run.generatorPath.flatMap {
            try file(
                run.stage == .b ? .stageB : .stageC, $0, "generator_checkpoint_path", run.places.generator,
                mayBeQuantised: !trainsWhole)
        }
        let baseMatrices = try trainsWhole ? nil : loading.matrices(.stageC, of: baseFile)
        let base = ParameterStore(
            from: ShapesOnly(baseFile), dtype: trainsWhole ? .float32 : dtype, matrices: baseMatrices)
        if trainsWhole && run.stage == .b {
            let architecture = try files.stageBArchitecture()
            let stageB = try StageB(architecture, base.root)
            try base.finish()
            shared = SharedStage(BlockLayout(of: base, stageB.blocks, trains: true).sizes)
            network = .stageB(architecture, shapes: base.parameters.map(\.tensor.shape))
        } else {
            network = .stageC(try StageC(files.stageCArchitecture(), base))
        }
        if !trainsWhole { add(Self.base, base, baseFile, baseMatrices) }
        if case .stageC(let stageC) = network {
            shared = SharedStage(BlockLayout(of: base, stageC.blocks, trains: trainsWhole).sizes)
        }

        let effnetFile = try file(.effnet, run.effnetPath, "effnet_checkpoint_path", run.places.effnet)
        let effnet = ParameterStore(from: ShapesOnly(effnetFile, ignoring: BatchStatistics.isCounter))
        _ = try EffNetEncoder(files.encoderArchitecture(), effnet.root)
        try effnet.finish()
        add("effnet", effnet, effnetFile)

        let decoderFile = try file(
            run.stage == .b ? .stageA : .previewer, run.decoderPath, run.stage.decoderKey, run.places.decoder)
        if run.stage == .b {
            let store = ParameterStore(from: ShapesOnly(decoderFile, ignoring: BatchStatistics.isCounter))
            stageA = try decoderFile.map(StageAConfiguration.init(of:)) ?? StageAConfiguration()
            _ = try StageA(stageA, store.root)
            try store.finish()
            add("stage A", store, decoderFile)
        } else {
            let store = ParameterStore(from: ShapesOnly(decoderFile, ignoring: BatchStatistics.isCounter))
            previewer =
                try decoderFile.map(Previewer.Configuration.init(of:)) ?? files.stageCArchitecture().previewer
            _ = try Previewer(previewer, store.root)
            try store.finish()
            // Without previews nothing of it is ever read.
            if run.previewSteps != 0 { add("previewer", store, decoderFile) }
        }

        func folder(_ name: String, _ key: String, _ place: Failure.Place) -> String? {
            let found = ModelPlaces().folders(of: name).first { fileExists("\($0)/config.json") }
            if found == nil { missing.append(Missing(key: key, path: name, place: place)) }
            return found
        }
        let textFolder = folder(run.clipTextModel, "clip_text_model_name", run.places.text)
        textConfiguration =
            try textFolder.map { try CLIPTextConfiguration(JSON.read("\($0)/config.json"), file: "\($0)/config.json") }
            ?? .bigG
        let textFile = try textFolder.flatMap {
            try file(.clipText, $0, "clip_text_model_name", run.places.text, mayBeQuantised: true)
        }
        let textMatrices = try loading.matrices(.clipText, of: textFile)
        let store = ParameterStore(
            from: ShapesOnly(textFile, ignoring: CLIPTextTower.ignores), dtype: dtype, matrices: textMatrices)
        let tower = try CLIPTextTower(textConfiguration, store.root)
        try store.finish()
        add("text", store, textFile, textMatrices)
        text = try textFolder.map {
            TextEncoder(tower: tower, tokenizer: try CLIPTokenizer(folder: Vocabulary.folder(of: $0)))
        }

        if let name = run.clipImageModel {
            let key = "clip_image_model_name"
            let folder = folder(name, key, run.places.image)
            let configuration =
                try folder.map {
                    try CLIPVisionConfiguration(JSON.read("\($0)/config.json"), file: "\($0)/config.json")
                } ?? .largePatch14
            if folder != nil { try files.check(configuration) }
            let file = try folder.flatMap { try file(.clipVision, $0, key, run.places.image) }
            let store = ParameterStore(from: ShapesOnly(file, ignoring: CLIPVisionTower.ignores), dtype: dtype)
            _ = try CLIPVisionTower(configuration, store.root)
            try store.finish()
            add("image encoder", store, file)
        }
        self.frozen = frozen
        self.missing = missing
    }
}

extension PlannedModels {
    /// Whether a path is a file, or a folder with something in it that can be weights.
    private static func holdsWeights(_ path: String) -> Bool {
        if fileExists(path) { return true }
        let endings = [".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt"]
        let names = Folder.isFolder(path) ? (try? Folder.names(path)) ?? [] : []
        return names.contains { name in endings.contains { name.hasSuffix($0) } }
    }
}

/// Gives every parameter its shape and no memory; checks it against the shapes of a file where there is one.
final class ShapesOnly: ParameterSource {
    private let stored: StoredParameters?

    init(_ file: (any NamedTensors)?, ignoring: @escaping (String) -> Bool = { _ in false }) {
        stored = file.map { file in
            StoredParameters(
                name: file.path, available: file.entries.map(\.name), ignoring: ignoring,
                quantised: QuantisedMatrix.keys(in: file)
            ) { name in
                try file[name].map { try Self.shaped($0.shape, $0.dtype) }
            }
        }
    }

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        try stored?.value(key, shape: shape, initial: initial) ?? Self.shaped(shape)
    }

    func quantised(_ key: String, shape: [Int]) throws -> QuantisedMatrix? {
        try stored?.quantised(key, shape: shape)
    }

    func finish() throws { try stored?.finish() }

    /// One number, seen in a whole shape.
    private static func shaped(_ shape: [Int], _ dtype: DType = .float32) throws -> Tensor {
        try .zeros(shape.map { _ in 1 }, dtype: dtype).expanded(shape)
    }
}

extension CLIPTextConfiguration {
    /// The text encoder of CLIP ViT-bigG/14, which Stable Cascade was trained with.
    static let bigG: CLIPTextConfiguration = {
        var text = CLIPTextConfiguration()
        (text.width, text.innerWidth, text.layers, text.heads) = (1280, 5120, 32, 20)
        (text.projected, text.activation) = (1280, .gelu)
        return text
    }()
}

extension CLIPVisionConfiguration {
    /// The image encoder of CLIP ViT-L/14, which Stable Cascade was trained with.
    static let largePatch14: CLIPVisionConfiguration = {
        var images = CLIPVisionConfiguration()
        (images.width, images.innerWidth, images.layers, images.heads) = (1024, 4096, 24, 16)
        (images.projected, images.patchSize) = (768, 14)
        return images
    }()
}
