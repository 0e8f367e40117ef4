import AdapterKit
import Cascade
import Failures
import Files
import Generation
import JSON
import Loading
import Shards
import Synchronization
import Telemetry
import Torch
import Web

/// What all three recipes set up alike, once the configuration is read.
struct RecipeParts {
    let run: RunConfiguration
    let options: RunOptions
    let console: Console
    let shards: [Shard]
    let loading: ModelLoading
    let loop: TrainLoop
    /// Tells the shards' client when nobody waits for it any more.
    private let reading = Reading()
    /// Tells of masks that tell nothing.
    private let masks: MaskReading
    /// Whether what several processes add up stays on their GPUs.
    private let sumsOnDevice: Bool
    /// Of the shards' client, once there are updates to lose.
    private let patience: NetworkPatience

    private final class Reading: Sendable {
        private let over = Atomic<Bool>(false)
        var isOver: Bool { over.load(ordering: .relaxed) }
        func end() { over.store(true, ordering: .relaxed) }
    }

    init(_ run: RunConfiguration, _ options: RunOptions, _ console: Console) throws {
        self.run = run
        self.options = options
        self.console = console
        try options.device.checkPresent()
        try SharedUpdates.check(run, options)
        sumsOnDevice = try options.group?.use(options.device) ?? false
        if let threads = options.threads { try Engine.shared().setThreads(threads) }
        masks = MaskReading { [console] in console.warn($0) }
        patience = NetworkPatience(run.data.networkPatience, note: console.log)
        do {
            var access = run.data.access(options.shardAccess)
            access.client.patience = patience
            access.client.isCancelled = { [reading, asked = access.client.isCancelled] in reading.isOver || asked() }
            shards = try resolveShards(run.data.webdatasetPath, access: access)
        } catch var failure as Failure {
            failure.place = failure.place ?? run.places.data
            throw failure
        }
        var loading = ModelLoading(ModelFiles(run, device: options.device))
        if run.sharesStage { loading.group = options.group }
        self.loading = loading
        loop = TrainLoop(run: run, options: options, console: console)
    }

    /// The trained Stage C that adapters are put on.
    func base() throws -> (stageC: StageC, identity: BaseModel) {
        guard run.generatorPath != nil else { throw run.baseIsUnnamed }
        return try loading.base()
    }

    func generator(_ stream: UInt64) throws -> Generator { try Generator(seed: loop.seed, stream: stream, update: 0) }

    /// What is done to each sample.
    var preparation: SamplePreparation {
        var preparation = SamplePreparation(
            reading: run.data.reading, buckets: run.data.buckets, minImageSize: run.data.minImageSize)
        preparation.choice = run.data.choice
        preparation.isScaled = run.data.isScaledDecoding
        preparation.masks = masks
        preparation.isCutKept = run.isCachingInMemory || run.data.cacheFolder != nil
        return preparation
    }

    /// What a micro batch of a model costs.
    /// - Parameter isFrozen: whether the base is only adapted.
    func objective(
        _ model: AdaptedModel, _ encoders: Encoders, _ diffusion: TrainingDiffusion, isFrozen: Bool = true
    ) throws -> StageCObjective {
        StageCObjective(
            model: model,
            encodings: try encodings(tower: encoders.images) { [effnet = encoders.effnet] in
                try effnet().latents(of: $0)
            },
            text: try texts(encoders.text), diffusion: diffusion.process, lossFunction: diffusion.lossFunction,
            chances: run.chances, dropout: try DropoutRates(run, model.stageC.configuration, isFrozen: isFrozen))
    }

    /// What a stage is trained on of images. The networks' files are read once more where `cache_dir` is set: they
    /// are part of what its entries are known by.
    func encodings(
        tower: NetworkOnDemand<ImageEncoder>? = nil, encode: @escaping (Tensor) throws -> Tensor
    ) throws -> ImageEncodings {
        ImageEncodings(
            tower: tower, device: options.device, memory: run.isCachingInMemory ? RunConfiguration.cacheBytes : 0,
            cache: try run.data.cacheFolder.map { folder in
                try loading.files.imageCache(in: folder, encoder: latentEncoder) { [console] in console.warn($0) }
            }, encode: encode)
    }

    /// What makes the latents that the stage is trained on.
    private var latentEncoder: ModelFiles.Source? { run.stage == .b ? loading.files.stageA : loading.files.effnet }

    /// The text conditions of captions. The tower stays for good where an adapter changes it, or nothing is cached.
    func texts(_ encoder: NetworkOnDemand<TextEncoder>) throws -> TextConditions {
        guard let folder = run.data.cacheFolder else { return TextConditions(encoder: try encoder()) }
        let cache = try loading.files.textCache(in: folder) { [console] in console.warn($0) }
        guard try encoder().isAsLoaded else { return TextConditions(encoder: try encoder(), cache: cache) }
        return try TextConditions(encoder, cache: cache)
    }

    /// The networks around Stage C that are let go while caches stand in for them, or nobody looks.
    func resting(_ encoders: Encoders) -> [any ReleasableNetwork] {
        [encoders.previewer]
            + resting(latents: encoders.effnet, others: [encoders.text] + (encoders.images.map { [$0] } ?? []))
    }

    /// Of what makes latents, and of networks whose results `cache_dir` alone keeps, those that caches stand in for.
    func resting(latents: any ReleasableNetwork, others: [any ReleasableNetwork]) -> [any ReleasableNetwork] {
        let isCached = run.data.cacheFolder != nil
        return (isCached || run.isCachingInMemory ? [latents] : []) + (isCached ? others : [])
    }

    /// Trains.
    /// - Parameters:
    ///   - resting: networks that are let go while nobody asks for them.
    ///   - filter: makes the conditions of the images in the loader's threads, with these parameters.
    func train(
        _ task: TrainingTask, _ objective: some TrainingObjective, resting: [any ReleasableNetwork],
        filter: (filter: any ControlFilter, parameters: JSON)? = nil
    ) throws -> RunOutcome {
        let warn: @Sendable (String) -> Void = { [console] in console.warn($0) }
        let conditions = try run.data.cacheFolder.flatMap { folder in
            try filter.map { try EncodingCache(in: folder, conditionsOf: $0.filter, $0.parameters, warn: warn) }
        }
        var task = task
        task.inputs = try RunInputs(loading.files, besides: task.isWhole ? "generator_checkpoint_path" : nil, shards)
        task.inputs.validation = task.evaluation.content
        task.endUpdate = {
            // All of them: each counts its turns.
            resting.map { $0.endTurn() }.contains(true)
        }
        // Where caches of an earlier run hold something, they may hold all.
        let hasEntries =
            try run.data.cacheFolder.map { try !Folder.names("\($0)/\(ModelFiles.imageCacheName)").isEmpty } ?? false
        if hasEntries { for network in resting { network.release() } }
        var outcome = try loop(task) { state in
            var preparation = preparation
            let needsImages = objective.needsImages
            preparation.store = objective.encodings.cache.map { cache in
                PreparedStore(salt: cache.salt, lookup: { needsImages ? nil : cache.folder.read($0) })
            }
            preparation.conditions = filter.map { FilterWork($0.filter, warn: warn).conditions(cache: conditions) }
            // A run that goes on keeps the order of samples it began with.
            var loading = run.loaderOptions(seed: state.seed ?? loop.seed)
            let tokenizer = objective.text.tokenizer
            loading.captions.isLong = { tokenizer.count($0) > CLIPTokenizer.length }
            loading.captions.texts = run.data.newTokens
            loading.willStop = { [reading] in reading.end() }
            // Several processes wait for the same batch: none gives it up by itself.
            if options.group == nil { loading.isCancelled = options.shardAccess.client.isCancelled }
            patience.begin()
            return try BatchLoader(
                shards: shards, preparation: preparation, options: loading, from: state, among: loop.shared?.peers)
        }
        if let folder = run.data.cacheFolder, let images = objective.encodings.cache, let texts = objective.text.cache {
            outcome.encoded = (images.made, texts.made)
            outcome.conditions = conditions?.made
            console.log(
                "\(images.made) images and \(texts.made) captions were encoded for \(folder), others found there")
            if let conditions { console.log("\(conditions.made) conditions were made for it") }
        }
        return outcome
    }

    /// The first few samples that have the size of the first.
    static func alike(_ samples: [ValidationSample], count: Int) -> [ValidationSample] {
        guard let first = samples.first?.image.image else { return [] }
        return Array(
            samples.filter { $0.image.image.width == first.width && $0.image.image.height == first.height }
                .prefix(count))
    }

    /// What is said of a run of Stage C without an image encoder.
    static let noTower =
        "no image encoder (clip_image_model_name is null): Stage C sees zeros in the place of every image's embedding, and "
        + "does not learn to follow one"

    /// Prints what a run would do.
    func describe(_ what: String, trainable: Int) {
        console.log("\(run.experimentID): \(what)")
        console.log(
            "\(trainable) trainable parameters, \(run.updates) updates of \(run.batchSize) samples, \(shards.count) shards"
        )
        if run.stage == .c, run.clipImageModel == nil {
            console.log(Self.noTower)
        }
        if options.group != nil, options.device != .cpu {
            console.log(
                "gradients are added up "
                    + (sumsOnDevice
                        ? "from GPU to GPU, by NCCL"
                        : "in host memory, by Gloo: NCCL is not in this libtorch, or processes share a GPU"))
        }
        if run.isSharded {
            console.log("use_fsdp: \(sharing)")
        }
        if run.offload != nil {
            console.log(
                "offload: blocks of the base wait in host memory and come to the device one ahead, as with "
                    + "`gradient_checkpointing: true`")
        }
    }

    /// What the processes of a run that asks for it share.
    private var sharing: String {
        if run.sharesBase {
            return
                "each of \(run.processes) processes holds its share of the base and gathers it block by block, as with "
                + "`gradient_checkpointing: true`; what is trained is replicated"
        }
        if run.sharesStage {
            return
                "each of \(run.processes) processes holds, steps and averages its share of the stage and gathers it block by "
                + "block, as with `gradient_checkpointing: true`"
        }
        if options.group == nil { return "this run is one process, which holds all: replicated" }
        return
            "with \(run.whyReplicated ?? "--device \(options.device)") the stage is replicated: each process holds all of it"
    }
}
