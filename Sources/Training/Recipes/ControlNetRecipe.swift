import AdapterKit
import Cascade
import Generation
import Failures
import Layers
import Optimization
import Settings
import Telemetry
import Torch

/// Trains a ControlNet on a frozen Stage C: `cascade-adapt controlnet`.
public struct ControlNetRecipe: Recipe, SettledRecipe {
    /// The command `controlnet`.
    public static let name = "controlnet"
    /// What help says of the command.
    public static let abstract = "Train a ControlNet on Stage C."

    /// Whether it has `controlnet_blocks` or `controlnet_filter`.
    public static func recognises(_ setting: Setting, _ plugIns: PlugIns) -> Bool {
        setting["controlnet_blocks"] != nil || setting["controlnet_filter"] != nil
    }

    var run: RunConfiguration
    private let own: ControlNetConfiguration
    private let diffusion: TrainingDiffusion
    private let filter: any ControlFilter
    private let plugIns: PlugIns

    /// Reads every key, and then the filter's own of `controlnet_filter_params`.
    /// - Throws: a failure of the input at a key that is missing, unknown or can't be read, at Stage B, and at masks
    ///   where the filter takes none.
    public init(_ fields: inout Fields, _ plugIns: PlugIns) throws {
        self.plugIns = plugIns
        try TrainedStage.checkTakesAdapters(fields.setting)
        run = try RunConfiguration(&fields, trainsWhole: false)
        own = try ControlNetConfiguration(&fields).fitting(run.data.stride, plugIns)
        diffusion = try TrainingDiffusion(&fields, run.stage, base: run.generatorPath, isFrozen: true)
        // A key that nobody knows is told of before what the filter finds amiss among its own.
        try fields.finish()
        filter = try plugIns.filter(own.filter, parameters: own.filterParameters, at: own.places.filter)
        if !type(of: filter).takesMasks { try run.data.refuseMasks("\(own.filter) takes no masks") }
    }

    /// What would be trained and what memory it takes, told from shapes alone.
    public func plan(_ options: RunOptions) throws -> TrainingPlan { try settledPlan(options) }

    func networks(_ options: RunOptions) throws -> TrainingPlan {
        var plan = try TrainingPlan(Self.name, run, options, trainsWhole: false)
        let stageC = try plan.stageC
        try stageC.configuration.check(controlNetBlocks: own.blocks, at: own.places.blocks)
        if let remark = try own.checkStart(plugIns) { plan.remarks.append(remark) }
        let file = try own.checkpointPath.map { try Checkpoint($0).tensors(of: .controlNet) }
        let store = ParameterStore(from: ShapesOnly(file, ignoring: BatchStatistics.isCounter))
        let configuration = trunk(of: stageC)
        _ = try ControlNetTrunk(configuration, store.root)
        try store.finish()
        func shapes(_ prefix: String) -> [[Int]] {
            store.parameters.filter { $0.name.hasPrefix(prefix) }.map(\.tensor.shape)
        }
        plan.groups = [
            .init(name: "backbone (\(own.bottleneckMode.rawValue))", shapes: shapes("backbone.")),
            .init(name: "projections", shapes: shapes("projections.")),
        ]
        plan.points = stageC.injectionPoints.compactMap { point in
            guard case .residualBlock(let index) = point else { return nil }
            return .init(index: index, name: "residual block \(index)", isSelected: own.blocks.contains(index))
        }
        plan.pass.firstBlock = own.blocks.min() ?? 0
        guard own.bottleneckMode == .effnet else { return plan }
        // What size of condition a filter makes is told by making one.
        let blank = try Tensor.zeros([1, 3, run.data.imageSize, run.data.imageSize])
        let condition = try filter(blank, generator: Generator(seed: run.seed)).condition
        let side = condition.size(-1)
        let places = max(1, side / configuration.efficientNet.stride)
        plan.pass.control = .init(
            channels: condition.size(1), side: side,
            injected: own.blocks.count * configuration.projected * places * places)
        return plan
    }

    /// Trains the trunk and its projections; the base stays as it is.
    /// - Returns: nil for a dry run.
    public func train(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        try settledTraining(options, console)
    }

    func trainSettled(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        try filter.prepare()
        let remark = run.data.reading.masks.map { "the masks are those of \($0.name)" } ?? filter.remark
        if let remark { console.log("\(own.filter): \(remark)") }

        // Load.
        let parts = try RecipeParts(run, options, console)
        let (stageC, base) = try parts.base()
        try stageC.configuration.check(controlNetBlocks: own.blocks, at: own.places.blocks)
        if let remark = try own.checkStart(plugIns) { console.log(remark) }
        let configuration = trunk(of: stageC)
        let source = try own.source(
            configuration, effnet: run.effnetPath, of: stageC.configuration.encoder,
            generator: parts.generator(RandomStream.initialisation))
        let store = ParameterStore(from: source, device: options.device)
        let trunk = try ControlNetTrunk(configuration, store.root)
        try store.finish()
        try store.setTrainable(true)
        trunk.isCheckpointing = run.isCheckpointing
        trunk.computeDType = stageC.computeDType
        parts.describe(
            "ControlNet (\(own.filter), \(own.bottleneckMode.rawValue)) on blocks \(own.blocks) of \(base.name)",
            trainable: store.parameters.reduce(0) { $0 + $1.tensor.count })
        if options.isDryRun { return nil }
        let encoders = try parts.loading.encoders()
        let model = AdaptedModel(stageC: stageC, text: nil, base: base)
        let adapter = ControlNetAdapter(
            trunk: trunk, store: store, model: model, filter: (own.filter, own.filterParameters.json))
        try adapter.attach()

        // Say what is trained and how.
        let objective = try parts.objective(model, encoders, diffusion)
        if own.measuresStatistics {
            let trained = try ValidationSet.samples(parts.shards, parts.preparation, limit: 32)
            let alike = RecipeParts.alike(trained, count: trained.count)
            let images = alike.map(\.image)
            let condition = try filter.condition(
                of: images.pixels(), images.masks(), parts.generator(RandomStream.filter)
            ).condition
            try trunk.measureStatistics(on: condition.to(device: options.device))
        }
        let evaluation = try Evaluation(parts, objective, showing: .stageC(encoders.previewer), adapters: [adapter]) {
            try filter.condition(of: $0, $1, $2)
        }
        var described = AdapterContents(base: base, steps: 0)
        try adapter.write(to: &described)
        let task = TrainingTask(
            name: "controlnet",
            groups: ParameterGroup.decaying(adapter.parameters, by: run.weightDecay),
            description: described.metadata,
            loss: { try objective.loss(of: $0, $1) },
            write: { path, updates in
                var contents = AdapterContents(base: base, steps: updates)
                try adapter.write(to: &contents)
                return try contents.write(to: path)
            },
            restored: store.tensors,
            evaluation: evaluation,
            learners: diffusion.process.learners)
        return try parts.train(
            task, objective, resting: parts.resting(encoders), filter: (filter, own.filterParameters.json))
    }

    private func trunk(of stageC: StageC) -> ControlNetTrunk.Configuration {
        ControlNetTrunk.Configuration(
            inputs: filter.channels, projected: stageC.configuration.hidden[0], blocks: own.blocks,
            bottleneckMode: own.bottleneckMode, efficientNet: stageC.configuration.trunk)
    }
}

/// The keys of the `controlnet` recipe alone.
struct ControlNetConfiguration {
    let blocks: [Int]
    let filter: String
    private(set) var filterParameters: Setting
    let bottleneckMode: ControlNetTrunk.BottleneckMode
    /// A trained ControlNet to start from.
    let checkpointPath: String?
    /// Trained EfficientNetV2-S features to start the trunk from.
    let backbonePath: String?
    /// Whether the trunk's batch norms take their statistics from conditions of the data before the first update.
    let measuresStatistics: Bool
    let places: (blocks: Failure.Place, filter: Failure.Place, bottleneck: Failure.Place?)

    init(_ fields: inout Fields) throws {
        let setting = fields.setting
        places = (
            setting["controlnet_blocks"]?.place ?? setting.place, setting["controlnet_filter"]?.place ?? setting.place,
            setting["controlnet_bottleneck_mode"]?.place ?? setting["controlnet_checkpoint_path"]?.place
        )
        blocks = try fields.required("controlnet_blocks", .notEmpty)
        filter = try fields.required("controlnet_filter")
        filterParameters = try fields.nested("controlnet_filter_params").setting
        bottleneckMode = try fields.value("controlnet_bottleneck_mode", default: .effnet)
        checkpointPath = try ModelLoading.path("controlnet_checkpoint_path", to: "the ControlNet", &fields)
        backbonePath = try ModelLoading.path("controlnet_backbone_path", to: "the features", &fields)
        measuresStatistics = try fields.value("controlnet_measure_statistics", default: false)
    }

    /// The same, where a filter that wants to know the latents' stride is given the model's.
    fileprivate func fitting(_ stride: Int, _ plugIns: PlugIns) throws -> ControlNetConfiguration {
        let type = plugIns.filters.first { $0.name == filter }
        guard let key = type?.strideParameter, filterParameters[key] == nil else { return self }
        var fitted = self
        fitted.filterParameters = try filterParameters.overridden(by: "\(key)=\(stride)")
        return fitted
    }

    /// Where the trunk starts: a trained ControlNet, else given EfficientNet features, else those of the encoder where it
    /// is the same EfficientNet, else a seed.
    func source(
        _ configuration: ControlNetTrunk.Configuration, effnet: String, of encoder: EffNetEncoder.Configuration,
        generator: Generator
    ) throws -> any ParameterSource {
        if let checkpointPath {
            return StoredParameters(
                try Checkpoint(checkpointPath).tensors(of: .controlNet), ignoring: BatchStatistics.isCounter)
        }
        let encoder = configuration.efficientNet == encoder.backbone ? effnet : nil
        guard configuration.bottleneckMode == .effnet, let features = backbonePath ?? encoder else {
            return DrawnParameters(generator)
        }
        return try ControlNetStart(configuration, backbone: Checkpoint(features), generator: generator)
    }
}
