import Cascade
import Failures
import Generation
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
    let trainsWhole: Bool
    /// Of the network between processes, in bits a second.
    let networkSpeed: Double
    var groups: [Group] = []
    var points: [Point] = []
    var pass = Pass()
    private(set) var data = PlannedData()
    /// How many images the validation loss is measured on; nil before they were counted.
    private(set) var validationImages: Int?
    private(set) var missing: [PlannedModels.Missing] = []
    /// What is said of a file that training starts from, of what goes by the machine, and whether the run fits.
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
        networkSpeed = options.networkSpeed
        updates = min(run.updates, options.steps ?? run.updates)
        models = try PlannedModels(run, files: ModelFiles(run, device: options.device), trainsWhole: trainsWhole)
        missing += models.missing
        // A configuration's own are held against the network.
        _ =
            switch models.network {
            case .stageC(let stageC): try DropoutRates(run, stageC.configuration, isFrozen: !trainsWhole)
            case .stageB(let architecture, _): try DropoutRates(run, architecture, isFrozen: !trainsWhole)
            }
    }

    /// The base of adapters.
    var stageC: StageC {
        get throws {
            guard case .stageC(let stageC) = models.network else { throw TrainedStage.takesNoAdapters(nil) }
            return stageC
        }
    }

    // MARK: The data

    /// Counts the samples.
    mutating func addData(_ options: RunOptions) throws {
        let found = try shards("webdataset_path", run.data.webdatasetPath, run.places.data, options)
        data = PlannedData(found, run.data, readsAll: options.readsAllData, progress: options.dataProgress)
        let validation = try shards("validation_path", run.validationPath, run.places.validation, options)
        let reader = ShardReader(shards: validation, outages: .end)
        var count = 0
        while count < ValidationSet.mostImages, reader.next() != nil { count += 1 }
        validationImages = count
    }

    /// The shards that a key names; what is not here is told among what is missing.
    private mutating func shards(
        _ key: String, _ specifications: [String], _ place: Failure.Place, _ options: RunOptions
    ) throws -> [Shard] {
        let access = run.data.access(options.shardAccess)
        var found: [Shard] = []
        for specification in specifications {
            do {
                found += try resolveShards([specification], access: access)
            } catch let failure as Failure
                where failure.blame == .input && (specification.hasPrefix("file:") || !specification.contains("://"))
            {
                missing.append(.init(key: key, path: specification, place: place))
            } catch var failure as Failure {
                failure.place = failure.place ?? place
                throw failure
            }
        }
        return found
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
