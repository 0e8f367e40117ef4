import AdapterKit
import Cascade
import Diffusion
import Failures
import Generation
import JSON
import Layers
import Loading
import Settings
import Shards
import Torch
import Weights

/// Which recipe a configuration is for.
public enum RecipeKind: String, CaseIterable, Sendable {
    case controlnet, lora, finetune

    /// Told by the keys that only one recipe has.
    public init(of setting: Setting) {
        func has(_ keys: String...) -> Bool { keys.contains { setting[$0] != nil } }
        if has("controlnet_blocks", "controlnet_filter") {
            self = .controlnet
        } else if has("module_filters", "text_module_filters", "rank", "train_tokens", "lora_checkpoint_path") {
            self = .lora
        } else {
            self = .finetune
        }
    }
}

/// What a run would do, told without loading weights: injection points, trainable parameters, memory, data.
///
/// A model or shard that is not here is listed with the command that gets it, and the rest is told all the same.
public struct TrainingPlan {
    /// Something trained: a kind of adapter, the ControlNet's parts, or a stage whole.
    struct Group {
        let name: String
        let shapes: [[Int]]
        let dtype = DType.float32

        var parameters: Int { shapes.reduce(0) { $0 + $1.reduce(1, *) } }
    }

    /// A place at which an adapter can attach.
    struct Point {
        /// The residual block's index; nil for a module.
        let index: Int?
        let name: String
        let isSelected: Bool
    }

    let recipe: RecipeKind
    let run: RunConfiguration
    let updates: Int
    private(set) var groups: [Group] = []
    private(set) var points: [Point] = []
    private(set) var memory = MemoryEstimate()
    private(set) var data = DatasetReport()
    private(set) var shards = 0
    private(set) var missing: [PlannedModels.Missing] = []
    /// What could not be told, and why.
    private(set) var unknown: [String] = []

    var trainable: Int { groups.reduce(0) { $0 + $1.parameters } }

    /// - Parameter recipe: nil tells it by the configuration's keys.
    public init(
        _ setting: Setting, recipe: RecipeKind? = nil, options: RunOptions, plugIns: PlugIns
    ) throws {
        self.recipe = recipe ?? RecipeKind(of: setting)
        if self.recipe != .finetune { try TrainedStage.checkTakesAdapters(setting) }
        var fields = try setting.fields()
        run = try RunConfiguration(&fields)
        updates = min(run.updates, options.steps ?? run.updates)
        // Checked as a run checks it; nothing of the plan depends on it, and its warnings are the run's.
        _ = try TrainingDiffusion(&fields, run.stage) { _ in }
        switch self.recipe {
        case .controlnet:
            let own = try ControlNetConfiguration(&fields)
            try fields.finish()
            let models = try planned(options, trainsWhole: false)
            try planControlNet(own, models, plugIns)
        case .lora:
            let startPath = try LoRARecipe.startPath(&fields)
            let plans = try plugIns.plans(&fields)
            _ = try AdapterRates(&fields, run, plugIns)
            try fields.finish()
            guard !plans.isEmpty || startPath != nil else { throw LoRARecipe.noAdapter(setting) }
            let models = try planned(options, trainsWhole: false)
            try planAdapters(plans, startPath.map { try start(setting, $0, plugIns, models) }, models)
        case .finetune:
            try fields.finish()
            let models = try planned(options, trainsWhole: true)
            try planWhole(models)
        }
        try countData(run.data.access(options.shardAccess))
        addDataMemory()
    }

    /// The networks, and what the frozen ones take.
    private mutating func planned(_ options: RunOptions, trainsWhole: Bool) throws -> PlannedModels {
        let models = try PlannedModels(
            run, files: ModelFiles(run, device: options.device), trainsWhole: trainsWhole)
        missing += models.missing
        for frozen in models.frozen { memory.add(frozen.name, frozen.bytes, isMapped: frozen.isMapped) }
        return models
    }

    private func pass(_ models: PlannedModels) throws -> MemoryEstimate.Pass {
        let isWhole = recipe == .finetune
        var pass = MemoryEstimate.Pass(
            batch: run.microBatchSize, imageSize: run.data.imageSize, reduction: run.stage.reduction,
            isCheckpointing: run.isCheckpointing, trainsWhole: isWhole)
        pass.dropout =
            switch models.network {
            case .stageC(let stageC): try DropoutRates(run, stageC.configuration, isFrozen: !isWhole).rates
            case .stageB(let architecture, _): try DropoutRates(run, architecture, isFrozen: !isWhole).rates
            }
        return pass
    }

    /// What is trained and what a pass keeps, once the groups are known.
    private mutating func addMemory(_ models: PlannedModels, _ pass: MemoryEstimate.Pass, trainsText: Bool = false) {
        memory.addTrained(groups.flatMap(\.shapes), run.optimizer, isAveraged: run.average != nil)
        let activations =
            switch models.network {
            case .stageC(let stageC): MemoryEstimate.activations(stageC.configuration, pass)
            case .stageB(let architecture, _): MemoryEstimate.activations(architecture, pass)
            }
        memory.add("activations", activations)
        memory.add(
            "text activations",
            MemoryEstimate.textActivations(models.textConfiguration, pass, isTrained: trainsText))
        // Latents that are kept are made picture by picture.
        let encoded = run.isCachingInMemory ? 1 : pass.batch
        memory.add(
            "picture encoding",
            max(
                MemoryEstimate.efficientNet(batch: encoded, side: run.data.imageSize, isTrained: false),
                run.stage == .b ? MemoryEstimate.stageA(batch: encoded, side: run.data.imageSize) : 0))
        memory.add("program", MemoryEstimate.program)
    }

    // MARK: The recipes

    private mutating func planControlNet(
        _ own: ControlNetConfiguration, _ models: PlannedModels, _ plugIns: PlugIns
    ) throws {
        let stageC = try stageC(models)
        let filter = try plugIns.filter(own.filter, parameters: own.filterParameters, at: own.places.filter)
        try stageC.check(controlNetBlocks: own.blocks, at: own.places.blocks)
        let file = try own.checkpointPath.map { try Checkpoint($0).tensors(of: .controlNet) }
        let store = ParameterStore(from: ShapesOnly(file, ignoring: BatchStatistics.isCounter))
        _ = try ControlNetTrunk(
            .init(
                inputs: filter.channels, projected: stageC.configuration.hidden[0], blocks: own.blocks,
                bottleneckMode: own.bottleneckMode), store.root)
        try store.finish()
        func shapes(_ prefix: String) -> [[Int]] {
            store.parameters.filter { $0.name.hasPrefix(prefix) }.map(\.tensor.shape)
        }
        groups = [
            Group(name: "backbone (\(own.bottleneckMode.rawValue))", shapes: shapes("backbone.")),
            Group(name: "projections", shapes: shapes("projections.")),
        ]
        points = stageC.injectionPoints.compactMap { point in
            guard case .residualBlock(let index) = point else { return nil }
            return Point(index: index, name: "residual block \(index)", isSelected: own.blocks.contains(index))
        }
        var pass = try pass(models)
        pass.firstBlock = own.blocks.min() ?? 0
        addMemory(models, pass)
        if own.bottleneckMode == .effnet {
            // What size of condition a filter makes is told by making one.
            let blank = try Tensor.zeros([1, 3, run.data.imageSize, run.data.imageSize])
            let side = try filter(blank, generator: Generator(seed: run.seed)).condition.size(-1)
            memory.add("trunk", MemoryEstimate.efficientNet(batch: pass.batch, side: side, isTrained: true))
        }
    }

    private mutating func planAdapters(
        _ plans: [AdapterPlan], _ start: [AdapterParts]?, _ models: PlannedModels
    ) throws {
        let stageC = try stageC(models)
        let model = adapted(models, stageC)
        let parts = try start ?? plans.map { try $0.parts(model) }
        groups = parts.map { Group(name: $0.kind, shapes: $0.shapes) }
        unknown += parts.compactMap { part in part.unknown.map { "\(part.kind): \($0)" } }
        let selected = Set(parts.flatMap(\.modules).map(InjectionPoint.module))
        let ofText = model.text?.tower.injectionPoints ?? []
        let adaptsText = ofText.contains(where: selected.contains)
        let places = stageC.injectionPoints + (adaptsText ? ofText : [])
        points = places.compactMap { place in
            guard case .module(let path) = place else { return nil }
            return Point(index: nil, name: path, isSelected: selected.contains(place))
        }
        var pass = try pass(models)
        pass.adapted = parts.flatMap(\.modules)
        addMemory(models, pass, trainsText: adaptsText || parts.contains { $0.modules.isEmpty })
    }

    /// The base of adapters.
    private func stageC(_ models: PlannedModels) throws -> StageC {
        guard case .stageC(let stageC) = models.network else {
            throw TrainedStage.takesNoAdapters(nil)
        }
        return stageC
    }

    private func adapted(_ models: PlannedModels, _ stageC: StageC) -> AdaptedModel {
        AdaptedModel(stageC: stageC, text: models.text, base: BaseModel(name: run.modelVersion, sha256: ""))
    }

    /// What the adapters of a file to start from consist of.
    private func start(
        _ setting: Setting, _ path: String, _ plugIns: PlugIns, _ models: PlannedModels
    ) throws -> [AdapterParts] {
        let file = try plugIns.open(path, LoRARecipe.reading(setting, adapted(models, stageC(models)), plugIns))
        return try plugIns.kinds(of: file).map { try $0.parts(of: file) }
    }

    private mutating func planWhole(_ models: PlannedModels) throws {
        switch models.network {
        case .stageC(let stageC):
            groups = [Group(name: "Stage C whole", shapes: stageC.store.parameters.map(\.tensor.shape))]
        case .stageB(_, let shapes): groups = [Group(name: "Stage B whole", shapes: shapes)]
        }
        try addMemory(models, pass(models))
    }

    // MARK: The data

    private mutating func countData(_ access: ShardAccess) throws {
        var found: [Shard] = []
        for specification in run.data.webdatasetPath {
            do {
                found += try resolveShards([specification], access: access)
            } catch let failure as Failure
                where failure.blame == .input && (specification.hasPrefix("file:") || !specification.contains("://"))
            {
                missing.append(.init(key: "webdataset_path", path: specification, place: run.places.data))
            } catch var failure as Failure {
                failure.place = failure.place ?? run.places.data
                throw failure
            }
        }
        shards = found.count
        // Every picture would take as long as an epoch of the loader.
        var survey = DatasetSurvey(reading: run.data.reading, decodeLimit: 2000)
        survey.minImageSize = run.data.minImageSize
        data = survey.report(on: found)
    }

    /// Samples that wait to be drawn, that are on their way to a bucket, that wait in buckets or are trained on, and
    /// pictures that are kept from epoch to epoch.
    private mutating func addDataMemory() {
        guard data.kept > 0 else { return }
        let options = run.loaderOptions(seed: run.seed)
        let sample = data.bytes / data.kept
        let picture = run.data.imageSize * run.data.imageSize * 3
        let waiting = min(sample * min(run.shuffleBuffer, data.kept), options.stream.bufferBytes)
        let onTheirWay = min(options.samplesAhead * (sample + picture), options.bytesAhead)
        let inBuckets = run.data.buckets.buckets.count * run.microBatchSize * picture
        let kept = run.isCachingInMemory ? min(data.kept * picture, RunConfiguration.cacheBytes) : 0
        memory.add("data", waiting + onTheirWay + inBuckets + kept)
    }

    /// How often every sample is seen; nil without samples.
    var epochs: Double? { data.kept > 0 ? Double(updates * run.batchSize) / Double(data.kept) : nil }

    /// - Throws: a failure of the input that names the first thing that is missing.
    public func requireComplete() throws {
        guard let first = missing.first else { return }
        throw Failure.input(
            "the run needs `\(first.key)`, which is not here", at: first.place, got: first.path,
            advice: first.command.map { "get it with: \($0)" })
    }
}
