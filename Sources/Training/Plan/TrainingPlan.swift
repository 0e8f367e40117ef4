import Cascade
import Failures
import Generation
import Loading
import Shards

/// What a run would do, told without loading weights: injection points, trainable parameters, memory, data.
///
/// A model or shard that is not here is listed with the command that gets it, and the rest is told all the same.
public struct TrainingPlan {
    /// Something trained: a kind of adapter, the ControlNet's parts, or a stage whole.
    struct Group {
        let name: String
        let shapes: [[Int]]

        var parameters: Int { shapes.reduce(0) { $0 + $1.reduce(1, *) } }
    }

    /// A place at which an adapter can attach.
    struct Point {
        /// The residual block's index; nil for a module.
        let index: Int?
        let name: String
        let isSelected: Bool
    }

    /// The name of the recipe.
    let recipe: String
    let run: RunConfiguration
    let updates: Int
    /// The networks: what is trained or adapted, and what is only used.
    let models: PlannedModels
    private let trainsWhole: Bool
    var groups: [Group] = []
    var points: [Point] = []
    var memory = MemoryEstimate()
    private(set) var data = PlannedData()
    private(set) var missing: [PlannedModels.Missing] = []
    /// What is said of a file that training starts from.
    var remarks: [String] = []
    /// What could not be told, and why.
    var unknown: [String] = []

    var trainable: Int { groups.reduce(0) { $0 + $1.parameters } }

    /// A plan that knows of the networks so far. The recipe adds what is trained, what it takes, and the data.
    /// - Parameter trainsWhole: whether the stage itself is trained.
    init(_ recipe: String, _ run: RunConfiguration, _ options: RunOptions, trainsWhole: Bool) throws {
        self.recipe = recipe
        self.run = run
        self.trainsWhole = trainsWhole
        updates = min(run.updates, options.steps ?? run.updates)
        models = try PlannedModels(run, files: ModelFiles(run, device: options.device), trainsWhole: trainsWhole)
        missing += models.missing
        for frozen in models.frozen { memory.add(frozen.name, frozen.bytes, isMapped: frozen.isMapped) }
    }

    /// The base of adapters.
    var stageC: StageC {
        get throws {
            guard case .stageC(let stageC) = models.network else { throw TrainedStage.takesNoAdapters(nil) }
            return stageC
        }
    }

    // MARK: Memory

    /// A pass through the network and back, as all recipes make it.
    func pass() throws -> MemoryEstimate.Pass {
        var pass = MemoryEstimate.Pass(
            batch: run.microBatchSize, imageSize: run.data.imageSize, reduction: models.reduction,
            isCheckpointing: run.isCheckpointing, trainsWhole: trainsWhole)
        pass.dropout =
            switch models.network {
            case .stageC(let stageC): try DropoutRates(run, stageC.configuration, isFrozen: !trainsWhole).rates
            case .stageB(let architecture, _): try DropoutRates(run, architecture, isFrozen: !trainsWhole).rates
            }
        return pass
    }

    /// What is trained and what a pass keeps, once the groups are known.
    mutating func addMemory(_ pass: MemoryEstimate.Pass, trainsText: Bool = false) {
        memory.addTrained(groups.flatMap(\.shapes), run)
        let activations =
            switch models.network {
            case .stageC(let stageC): MemoryEstimate.activations(stageC.configuration, pass)
            case .stageB(let architecture, _): MemoryEstimate.activations(architecture, pass)
            }
        memory.add("activations", activations)
        memory.add(
            "text activations",
            MemoryEstimate.textActivations(models.textConfiguration, pass, isTrained: trainsText))
        // Latents are made picture by picture, Stage B's conditions of a batch at once.
        memory.add(
            "picture encoding",
            max(
                MemoryEstimate.efficientNet(
                    batch: run.stage == .b ? pass.batch : 1, side: run.data.imageSize, isTrained: false),
                run.stage == .b ? MemoryEstimate.stageA(batch: 1, side: run.data.imageSize) : 0))
        memory.add("program", MemoryEstimate.program)
    }

    // MARK: The data

    /// Counts the samples, and adds what they take.
    mutating func addData(_ options: RunOptions) throws {
        try countData(run.data.access(options.shardAccess), options)
        addDataMemory()
    }

    private mutating func countData(_ access: ShardAccess, _ options: RunOptions) throws {
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
        data = PlannedData(found, run.data, readsAll: options.readsAllData, progress: options.dataProgress)
    }

    /// Samples that wait to be drawn, that wait in buckets, and that are on their way to a batch; the pictures of a batch,
    /// those that are kept from epoch to epoch, and what is decoded at once.
    private mutating func addDataMemory() {
        guard data.kept > 0 else { return }
        let options = run.loaderOptions(seed: run.seed)
        let sample = data.read.bytes / max(1, data.read.kept)
        let picture = run.data.imageSize * run.data.imageSize * 3
        let waiting = min(sample * min(run.shuffleBuffer, data.kept), options.stream.bufferBytes)
        let onTheirWay = min(options.samplesAhead * (sample + picture), options.bytesAhead)
        let inBuckets = run.data.buckets.buckets.count * run.batchSize * sample
        let batch = run.batchSize * picture
        let kept = run.isCachingInMemory ? min(data.kept * picture, RunConfiguration.cacheBytes) : 0
        memory.add("data", waiting + onTheirWay + inBuckets + batch + kept)
        memory.add("decoding", options.decodingBytes(largest: data.read.largestDecoding))
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
