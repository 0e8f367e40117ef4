import AdapterKit
import Cascade
import Generation
import Layers
import Loading
import Optimization
import Settings
import Telemetry
import Torch
import Weights

/// Trains a stage whole, from a checkpoint or from nothing: `cascade-adapt finetune`. Stage B where `model_version` is one
/// of its sizes, else Stage C.
public struct FinetuneRecipe: Recipe, SettledRecipe {
    /// The command `finetune`.
    public static let name = "finetune"
    /// What help says of the command.
    public static let abstract = "Train all of Stage C or Stage B, from published, random or your own weights."

    /// It has no key of its own.
    public static func recognises(_ setting: Setting, _ plugIns: PlugIns) -> Bool { true }

    var run: RunConfiguration
    private let diffusion: TrainingDiffusion

    /// Reads every key of a run that trains a stage whole.
    /// - Throws: a failure of the input at a key that is missing or can't be read, and at `masks`, `preview_compare`
    ///   and `base_dtype`, which are of no use here.
    public init(_ fields: inout Fields, _ plugIns: PlugIns) throws {
        run = try RunConfiguration(&fields, trainsWhole: true)
        try run.data.refuseMasks("nothing that trains a stage takes masks")
        if run.comparesPreviews {
            throw (fields.setting["preview_compare"] ?? fields.setting).refusal(
                expected: "an adapter whose absence can be shown",
                advice: "A stage that is trained whole has nothing to be left out.")
        }
        if run.namesBaseDType {
            throw (fields.setting["base_dtype"] ?? fields.setting).refusal(
                expected: "an adapter on a frozen base",
                advice: "A stage that is trained whole has no base to keep in fewer bits.")
        }
        diffusion = try TrainingDiffusion(&fields, run.stage, base: run.generatorPath, isFrozen: false)
    }

    /// What would be trained and what memory it takes, told from shapes alone.
    public func plan(_ options: RunOptions) throws -> TrainingPlan { try settledPlan(options) }

    func networks(_ options: RunOptions) throws -> TrainingPlan {
        var plan = try TrainingPlan(Self.name, run, options, trainsWhole: true)
        switch plan.models.network {
        case .stageC(let stageC):
            plan.groups = [.init(name: "Stage C whole", shapes: stageC.store.parameters.map(\.tensor.shape))]
        case .stageB(_, let shapes): plan.groups = [.init(name: "Stage B whole", shapes: shapes)]
        }
        return plan
    }

    /// Trains all weights of the stage.
    /// - Returns: nil for a dry run.
    public func train(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        try settledTraining(options, console)
    }

    func trainSettled(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        if let remark = diffusion.remark { console.log(remark) }
        let parts = try RecipeParts(run, options, console)
        return run.stage == .b ? try trainStageB(parts) : try trainStageC(parts)
    }

    private func trainStageC(_ parts: RecipeParts) throws -> RunOutcome? {
        let stageC = try parts.loading.trainable(parts.generator(RandomStream.initialisation))
        parts.describe("Stage C whole", trainable: stageC.store.parameters.reduce(0) { $0 + $1.tensor.count })
        if parts.options.isDryRun { return nil }
        let encoders = try parts.loading.encoders()
        let model = AdaptedModel(
            stageC: stageC, text: nil, base: BaseModel(name: run.modelVersion, sha256: ""))
        let objective = try parts.objective(model, encoders, diffusion, isFrozen: false)
        let evaluation = try Evaluation(parts, objective, showing: .stageC(encoders.previewer))
        return try parts.train(
            task(stageC.store, stageC.shared, stageC.configuration, evaluation) { try objective.loss(of: $0, $1) },
            objective,
            resting: parts.resting(encoders))
    }

    private func trainStageB(_ parts: RecipeParts) throws -> RunOutcome? {
        let (stageB, store) = try parts.loading.trainableStageB(parts.generator(RandomStream.initialisation))
        parts.describe("Stage B whole", trainable: store.parameters.reduce(0) { $0 + $1.tensor.count })
        if parts.options.isDryRun { return nil }
        let stageA = NetworkOnDemand(try parts.loading.stageA(), reload: parts.loading.stageA)
        let effnet = try parts.loading.effnet()
        let text = NetworkOnDemand(try parts.loading.textEncoder(), reload: parts.loading.textEncoder)
        let objective = StageBObjective(
            stageB: stageB, dtype: parts.loading.computeDType(parts.loading.files.weightsDType), effnet: effnet,
            encodings: try parts.encodings { try stageA().encode($0) },
            text: try parts.texts(text), diffusion: diffusion.process, lossFunction: diffusion.lossFunction,
            chances: run.chances, dropout: try DropoutRates(run, stageB.configuration, isFrozen: false))
        let evaluation = try Evaluation(parts, objective, showing: .stageB(stageA))
        return try parts.train(
            task(store, stageB.shared, stageB.configuration, evaluation) { try objective.loss(of: $0, $1) }, objective,
            resting: parts.resting(latents: stageA, others: [text]))
    }

    private func task(
        _ store: ParameterStore, _ shared: SharedBlocks?, _ stage: some StageConfiguration, _ evaluation: Evaluation,
        loss: @escaping (ImageBatch, Draws) throws -> TrainingLoss
    ) throws -> TrainingTask {
        func metadata(_ updates: Int) -> [String: String] {
            ["format": "pt", "trained_steps": String(updates), ModelFiles.targetKey: diffusion.process.target.rawValue]
        }
        func write(_ tensors: [(name: String, tensor: Tensor)], _ path: String, _ updates: Int) throws -> String {
            try SafetensorsWriter.writeHashed(tensors, metadata: metadata(updates), to: path)
        }
        let isCheckpointing = run.isCheckpointing
        var groups = ParameterGroup.decaying(store.parameters, by: run.weightDecay)
        var parts: SharedTensors?
        if let shared {
            parts = SharedTensors(
                groups.parameters.map {
                    .init(
                        name: $0.name, shape: $0.tensor.shape, part: shared.numbers(of: $0.name),
                        startsAtZero: shared.wasZero($0.name))
                },
                sum: shared.sum)
            for index in groups.indices {
                groups[index].parameters = try groups[index].parameters.compactMap { name, _ in
                    try shared.part(of: name).map { (name, $0) }
                }
            }
        }
        return TrainingTask(
            name: "generator",
            groups: groups,
            isWhole: true,
            loss: loss,
            write: { path, updates in
                guard let shared else { return try write(store.tensors, path, updates) }
                return try SafetensorsWriter.writeHashed(
                    shared.stream(of: store.tensors), metadata: metadata(updates), to: path)
            },
            writeAverage: { path, updates, means in
                if let shared {
                    return try SafetensorsWriter.writeHashed(
                        shared.stream(ofAverage: means, of: store.tensors), metadata: metadata(updates), to: path)
                }
                let means = Dictionary(means.map { ($0.name, $0.tensor) }) { first, _ in first }
                return try write(store.tensors.map { ($0.name, means[$0.name] ?? $0.tensor) }, path, updates)
            },
            sharing: shared,
            parts: parts,
            // A block that is computed again has its gradients each time it was run.
            arrivals: { isCheckpointing ? stage.runs(of: $0) : 1 },
            restored: store.tensors,
            evaluation: evaluation,
            learners: diffusion.process.learners)
    }
}
