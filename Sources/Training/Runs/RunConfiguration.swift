import Failures
import JSON
import Layers
import Loading
import Optimization
import Settings
import Shards
import Telemetry
import Torch

/// The keys that all recipes share: the reference's names and meanings, and some of ours.
public struct RunConfiguration: Sendable {
    /// The run's name, and that of its folder in `checkpointPath` and in `outputPath`.
    public let experimentID: String
    /// The folder of folders of checkpoints, one for each run.
    public let checkpointPath: String
    /// The folder of folders of previews, metrics and logs, one for each run.
    public let outputPath: String
    /// `tiny`, `1B`, `3.6B`, for Stage B `3B` or `700M`, or the path of an architecture file.
    public let modelVersion: String
    /// Which network is trained or adapted, told by `modelVersion`.
    public let stage: TrainedStage

    /// Samples in an update, over all processes and parts.
    public private(set) var batchSize: Int
    /// In how many parts a batch is taken; of one that goes by the free memory 1, until that is settled.
    public private(set) var accumulation: Int
    /// Whether that goes by the free memory.
    let partsAreFound: Bool
    /// Updates at which the run is complete, those before it was resumed among them.
    public let updates: Int
    /// Updates between two checkpoints; previews and the report are made with them.
    public let saveEvery: Int
    /// Updates between two numbered copies of what is trained, which are kept for good.
    public let backupEvery: Int
    /// How many checkpoints before the newest are kept, to fall back on.
    public let keepLast: Int
    /// After how many updates in a row without a finite loss the run ends.
    public let maxBadSteps: Int
    /// The rate of every update.
    public let schedule: LearningRateSchedule

    /// What is trained on.
    public let data: DataConfiguration
    /// The weights of the encoder that makes latents of images.
    public let effnetPath: String
    /// What makes latents visible: the previewer, or for Stage B Stage A, whose latents it is trained on.
    public let decoderPath: String
    /// The weights of the stage that adapters are put on or that training starts from; nil draws them.
    public let generatorPath: String?
    /// The folder or hub name of the text encoder with its tokenizer.
    public let clipTextModel: String
    /// The tower of which Stage C sees an image's embedding now and then; nil leaves it zeros.
    public let clipImageModel: String?
    /// Whether images are averaged over what is left out where they are made smaller for it.
    public let isCLIPAntialiased: Bool
    /// What the frozen base is kept in.
    public private(set) var dtype: DType
    /// What the matrices of the frozen stage and of the text encoder are kept in; nil for `dtype`, as the rest of them.
    public private(set) var baseDType: BaseDType?
    /// Whether that goes by the free memory.
    let baseIsFound: Bool
    /// Whether the configuration says anything of it.
    let namesBaseDType: Bool
    /// What the network computes in; nil leaves it to what its weights are kept in, where the device is fast at that.
    let compute: ComputePrecision?

    /// Whether a stage itself is trained, and not an adapter.
    let trainsWhole: Bool
    /// What the weights of a stage that is trained whole are kept in.
    private(set) var weightsDType: DType
    /// Whether each tensor is stepped within the backward pass.
    private(set) var isFused: Bool

    /// The project on W&B for which the run is logged; nil for none.
    public let wandbProject: String?
    /// The user or team on W&B; nil leaves it to the one who uploads.
    public let wandbEntity: String?

    // Ours
    /// Decides all that is drawn, 1 where nothing is said.
    public let seed: UInt64
    /// What steps the parameters, with its values; AdamW where nothing is said.
    private(set) public var optimizer: OptimizerChoice
    /// Share of a weight that is taken off it at each step, times the learning rate; 0.01 where nothing is said.
    public let weightDecay: Double
    /// The norm to which longer gradients are scaled, 1 where nothing is said; infinity leaves them as they are.
    public let gradientClip: Double
    /// How a running mean of what is trained is kept; nil keeps none.
    public let average: AveragedWeights.Configuration?
    private(set) var checkpointing: Checkpointing
    /// Whether blocks are computed again for their gradients; not yet known where it goes by the free memory.
    public private(set) var isCheckpointing: Bool
    /// How often captions and image conditions are left out.
    public let chances: ConditionChances
    /// Share of zeros in the network, one for all levels or one for each; nil leaves it to the recipe.
    public let dropout: [Double]?
    /// Whether the configuration asks for a model in pieces on several devices (`use_fsdp`).
    public let isSharded: Bool
    /// How many blocks of the frozen base wait in host memory; nil keeps all of it on the device.
    let offload: Offload?
    /// Keeps decoded images, their latents and their conditions from epoch to epoch, for data that fits.
    public let isCachingInMemory: Bool
    /// Shards, folders of images and lists that are never trained on; empty measures no validation loss.
    public let validationPath: [String]
    /// Fixed combinations of image, noise and time that the validation loss is the mean of.
    public let validationTriples: Int
    /// Updates between two measurements of the validation loss.
    public let validationEvery: Int
    /// Steps in which previews are sampled; 0 makes none.
    public private(set) var previewSteps: Int
    /// What previews are sampled from in place of the captions of their images.
    public let previewPrompts: [PreviewPrompt]
    /// Whether previews also sample without what is trained.
    public let comparesPreviews: Bool
    /// Samples that wait to be drawn from at random; more of them shuffle better and take more memory.
    public let shuffleBuffer: Int
    /// Threads that decode and fit images.
    public let dataWorkers: Int

    /// All keys, for logs.
    let written: ConfigurationText
    /// Gathers what all keys come to, those of the recipe too.
    let values: EffectiveValues?
    /// Where things were written, for later failures.
    let places: Places

    struct Places: Sendable {
        let generator: Failure.Place
        let effnet: Failure.Place
        let decoder: Failure.Place
        let dropout: Failure.Place
        let text: Failure.Place
        let image: Failure.Place
        let batch: Failure.Place
        let model: Failure.Place
        let data: Failure.Place
        let validation: Failure.Place
        let offload: Failure.Place
    }

    /// What is wrong with a configuration of an adapter that names no base.
    var baseIsUnnamed: Failure {
        .input(
            "`generator_checkpoint_path` is missing", at: places.generator,
            expected: "the checkpoint of the base", advice: "an adapter on an untrained base would get no gradient")
    }

    /// What each key comes to, as checkpoints keep it; what may be secret is left out.
    var effective: JSON? { values?.json(written.json).withoutSecrets }

    /// Settles what goes by the free memory, or asks what something else would take.
    mutating func settle(_ settings: MemorySettings) {
        checkpointing = settings.isCheckpointing ? .on : .off
        isCheckpointing = settings.isCheckpointing
        accumulation = settings.parts
        baseDType = settings.base
        if baseIsFound { values?.settle("base_dtype", settings.base.map { .string($0.rawValue) } ?? .null) }
    }

    /// The same with other ways to save memory, to ask what it would take.
    func with(_ settings: MemorySettings) -> RunConfiguration {
        var run = self
        (run.isCheckpointing, run.accumulation, run.baseDType) = (
            settings.isCheckpointing, settings.parts, settings.base
        )
        return run
    }

    /// The same, changed as an advice says.
    func with(_ saving: MemorySaving) -> RunConfiguration {
        var run = self
        switch saving {
        case .parts(let parts): run.accumulation = parts
        case .noPreviews: run.previewSteps = 0
        case .checkpointing: run.isCheckpointing = true
        case .halfBase: run.dtype = .bfloat16
        case .base(let dtype):
            (run.baseDType, run.dtype) = (dtype, .bfloat16)
        case .optimizer(let choice): run.optimizer = choice
        case .halfWeights: run.weightsDType = .bfloat16
        case .fusedSteps(let batch): (run.isFused, run.accumulation, run.batchSize) = (true, 1, batch)
        }
        return run
    }

    /// How many processes share the batch, where that is known.
    private(set) var processes = 1

    /// Whether processes share the frozen base, or the stage that is trained whole, of which each then has its part, and two
    /// blocks at a time.
    private(set) var sharesStage = false
    /// Whether that is the frozen base.
    var sharesBase: Bool { sharesStage && !trainsWhole }
    /// Why a stage that is trained whole cannot be shared; nil where it can.
    var whyReplicated: String? {
        trainsWhole && isFused ? "fused_backward: true" : nil
    }

    /// Says how many processes share the run, and where each computes.
    mutating func share(among processes: Int, on device: Device) {
        self.processes = processes
        sharesStage = isSharded && whyReplicated == nil && processes > 1 && device == .cpu
        guard sharesStage else { return }
        // A block's numbers are gone when its gradients are due.
        (checkpointing, isCheckpointing) = (.on, true)
    }

    /// The largest micro batch.
    public var microBatchSize: Int {
        let own = (batchSize + processes - 1) / processes
        return (own + accumulation - 1) / accumulation
    }

    /// What images, latents and conditions may each take of the memory where they are kept in it.
    static let cacheBytes = 256 << 20

    /// How the data is loaded.
    /// - Parameter seed: that of the order of the samples.
    func loaderOptions(seed: UInt64) -> BatchLoader.Options {
        var options = BatchLoader.Options(
            stream: SampleStream.Options(
                seed: seed, bufferSize: shuffleBuffer, reasonToDrop: data.reading.reasonToDrop),
            batchSize: batchSize, workers: dataWorkers)
        options.cacheBytes = isCachingInMemory ? Self.cacheBytes : 0
        return options
    }

    /// - Parameter trainsWhole: whether a stage itself is trained, and not an adapter.
    init(_ fields: inout Fields, trainsWhole: Bool) throws {
        let setting = fields.setting
        func place(_ key: String) -> Failure.Place { setting[key]?.place ?? setting.place }
        experimentID = try fields.required(
            "experiment_id",
            Requirement("that can name a folder") { !["", ".", ".."].contains($0) && !$0.contains("/") })
        checkpointPath = try fields.required("checkpoint_path")
        outputPath = try fields.required("output_path")
        modelVersion = try fields.required("model_version")
        stage = try TrainedStage(modelVersion: modelVersion)

        let fullRate: Double = try fields.required("lr", .positive)
        batchSize = try fields.required("batch_size", .within(1...65536))
        let parts: Accumulation = try fields.value("grad_accum_steps", written: 1)
        (accumulation, partsAreFound) = (parts.count ?? 1, parts == .auto)
        updates = try fields.required("updates", .atLeast(1))
        saveEvery = try fields.required("save_every", .atLeast(1))
        backupEvery = try fields.required("backup_every", .atLeast(1))
        keepLast = try fields.value("keep_last", default: 1, .within(0...1000))
        maxBadSteps = try fields.value("max_bad_steps", default: 10, .atLeast(1))
        schedule = LearningRateSchedule(
            full: fullRate, warmupUpdates: try fields.value("warmup_updates", default: 1, .atLeast(0)),
            updates: updates, course: try fields.value("lr_schedule", written: "constant"))

        data = try DataConfiguration(&fields)
        effnetPath = try fields.required("effnet_checkpoint_path")
        decoderPath = try fields.required(stage.decoderKey)
        generatorPath = try fields.optional("generator_checkpoint_path")
        clipTextModel = try fields.value(
            "clip_text_model_name", default: "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k")
        clipImageModel =
            stage == .c ? try fields.nullable("clip_image_model_name", default: "openai/clip-vit-large-patch14") : nil
        if stage == .c, clipImageModel == nil { fields.ignore("clip_antialias") }
        isCLIPAntialiased = clipImageModel == nil ? false : try fields.value("clip_antialias", default: false)
        let base: BaseChoice? = try fields.optional("base_dtype")
        (baseDType, baseIsFound, namesBaseDType) = (base?.dtype, base == .auto, base != nil)
        dtype = try fields.value("dtype", default: base == nil ? Precision.float32 : .bfloat16).dtype
        compute = try fields.optional("compute_dtype")

        let wandbName = Requirement<String>(
            "that W&B takes: of 1 to 128 characters, none of / \\ # ? % :", WandbProject.takes)
        wandbProject = try fields.optional("wandb_project", wandbName)
        wandbEntity = try fields.optional("wandb_entity", wandbName)
        written = ConfigurationText(setting)
        values = setting.effective

        seed = UInt64(try fields.value("seed", default: 1, .atLeast(0)))
        // The one way there is; the key tells runs that began with another.
        _ = try fields.value("draws", default: "keyed", Requirement("keyed") { $0 == "keyed" })
        optimizer = try fields.value("optimizer", written: "adamw")
        weightDecay = try fields.value("weight_decay", default: 0.01, .atLeast(0))
        gradientClip = try fields.value("gradient_clip", default: 1, .above(0))
        average = try .read(&fields)
        self.trainsWhole = trainsWhole
        let whole = try WholeTraining(
            &fields, trainsWhole: trainsWhole, optimizer: optimizer, accumulation: accumulation)
        (weightsDType, isFused) = (whole.weightsDType, whole.isFused)
        checkpointing = try fields.value("gradient_checkpointing", written: false)
        isCheckpointing = checkpointing == .on
        chances = try ConditionChances(&fields, stage)
        dropout = try fields.optional(
            "dropout", as: OneOrMore<Double>.self,
            Requirement("from 0 to 0.99") { !$0.elements.isEmpty && $0.elements.allSatisfy((0...0.99).contains) }
        )?.elements
        isSharded = try fields.value("use_fsdp", default: false)
        offload = try Offload.read(&fields, trainsWhole: trainsWhole, isSharded: isSharded)
        // A block's numbers are gone when its gradients are due.
        if offload != nil { (checkpointing, isCheckpointing) = (.on, true) }
        isCachingInMemory = try fields.value("cache_in_memory", default: false)
        validationPath = try DataConfiguration.paths(&fields, "validation_path")
        validationTriples = try fields.value("validation_triples", default: 256, .within(2...65536))
        validationEvery = try fields.value("validation_every", default: saveEvery, .atLeast(1))
        previewSteps = try fields.value("preview_steps", default: stage.previewSteps, .within(0...1000))
        previewPrompts = try fields.value("preview_prompts", default: [])
        comparesPreviews = try fields.value("preview_compare", default: false)
        shuffleBuffer = try fields.value("shuffle_buffer", default: 690, .within(1...1_000_000))
        dataWorkers = try fields.value("data_workers", default: BatchLoader.defaultWorkers, .within(1...64))
        places = Places(
            generator: place("generator_checkpoint_path"), effnet: place("effnet_checkpoint_path"),
            decoder: place(stage.decoderKey), dropout: place("dropout"), text: place("clip_text_model_name"),
            image: place("clip_image_model_name"), batch: place("batch_size"), model: place("model_version"),
            data: place("webdataset_path"), validation: place("validation_path"), offload: place("offload"))

        guard batchSize % accumulation == 0 else {
            throw Failure.input(
                "`batch_size` does not divide by `grad_accum_steps`", at: place("batch_size"),
                expected: "a multiple of \(accumulation)", got: "\(batchSize)")
        }
        // The reference's code sets it; no file of its does.
        fields.ignore("training")
    }
}
