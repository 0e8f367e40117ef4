import AdapterKit
import Failures
import Generation
import Settings
import Telemetry
import Torch
import Weights

/// Trains the adapters that a configuration asks for (LoRA layers, learned tokens) on a frozen Stage C and text encoder:
/// `cascade-adapt lora`.
public struct AdapterRecipe: Recipe, SettledRecipe {
    /// The command `lora`.
    public static let name = "lora"
    /// What help says of the command.
    public static let abstract = "Train LoRA layers and learned tokens on Stage C."

    /// Whether it has a key that a kind of adapter asks for, or names adapters to start from.
    public static func recognises(_ setting: Setting, _ plugIns: PlugIns) -> Bool {
        guard var fields = try? setting.fields() else { return false }
        if fields.contains(startKey) { return true }
        return plugIns.adapters.contains { kind in
            do {
                return try kind.plan(&fields) != nil || fields.known.contains(where: fields.contains)
            } catch {
                return true  // It was asked for, and finds fault with its keys.
            }
        }
    }

    private static let startKey = "lora_checkpoint_path"

    private let setting: Setting
    private let plugIns: PlugIns
    var run: RunConfiguration
    private let diffusion: TrainingDiffusion
    /// The adapters to start from.
    private let startPath: String?
    private let plans: [AdapterPlan]
    private let rates: AdapterRates

    /// Reads every key: those of all runs, of the process, and of each registered kind of adapter.
    /// - Throws: a failure of the input at a key that is missing or can't be read, at Stage B and at masks.
    public init(_ fields: inout Fields, _ plugIns: PlugIns) throws {
        (setting, self.plugIns) = (fields.setting, plugIns)
        try TrainedStage.checkTakesAdapters(setting)
        run = try RunConfiguration(&fields, trainsWhole: false)
        try run.data.refuseMasks("nothing that trains a LoRA takes masks")
        diffusion = try TrainingDiffusion(&fields, run.stage, base: run.generatorPath, isFrozen: true)
        startPath = try ModelLoading.path(Self.startKey, to: "the adapters", &fields)
        plans = try plugIns.plans(&fields)
        rates = try AdapterRates(&fields, run, plugIns)
    }

    /// What would be trained and what memory it takes, told from shapes alone.
    /// - Throws: a failure of the input where the configuration asks for no adapter.
    public func plan(_ options: RunOptions) throws -> TrainingPlan { try settledPlan(options) }

    func networks(_ options: RunOptions) throws -> TrainingPlan {
        guard !plans.isEmpty || startPath != nil else { throw noAdapter }
        var plan = try TrainingPlan(Self.name, run, options, trainsWhole: false)
        let stageC = try plan.stageC
        let model = AdaptedModel(
            stageC: stageC, text: plan.models.text, base: BaseModel(name: run.modelVersion, sha256: ""))
        let goingOn = try startPath.map { try plugIns.continuations(of: startFile($0, model), by: plans, model) }
        let parts = try goingOn?.map(\.continuation.parts) ?? plans.map { try $0.parts(model) }
        plan.remarks += (goingOn ?? []).compactMap(\.remark)
        plan.groups = parts.map { .init(name: $0.kind, shapes: $0.shapes) }
        plan.unknown += parts.compactMap { part in part.unknown.map { "\(part.kind): \($0)" } }
        let selected = Set(parts.flatMap(\.modules).map(InjectionPoint.module))
        let ofText = model.text?.tower.injectionPoints ?? []
        let adaptsText = ofText.contains(where: selected.contains)
        plan.points = (stageC.injectionPoints + (adaptsText ? ofText : [])).compactMap { place in
            guard case .module(let path) = place else { return nil }
            return .init(index: nil, name: path, isSelected: selected.contains(place))
        }
        plan.pass.adapted = parts.flatMap(\.modules)
        plan.pass.trainsText = adaptsText || parts.contains { $0.modules.isEmpty }
        return plan
    }

    /// Trains the adapters; the base stays as it is.
    /// - Returns: nil for a dry run.
    public func train(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        try settledTraining(options, console)
    }

    func trainSettled(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        // Load.
        let parts = try RecipeParts(run, options, console)
        let (stageC, base) = try parts.base()
        let encoders = try parts.loading.encoders()
        let (adapters, summary) = try adapters(
            on: AdaptedModel(stageC: stageC, text: encoders.text(), base: base),
            parts.generator(RandomStream.initialisation), console)
        parts.describe(
            "\(summary) of \(base.name)",
            trainable: adapters.flatMap(\.parameters).reduce(0) { $0 + $1.tensor.count })
        if options.isDryRun { return nil }

        let isTextTrained = try !encoders.text().isAsLoaded
        if run.data.cacheFolder != nil, isTextTrained {
            console.log("cache_dir keeps no captions in this run: what is trained changes how they are encoded")
        }

        // Say what is trained and how.
        // A tower that nothing changes is held by those alone who ask for captions.
        let model = AdaptedModel(stageC: stageC, text: isTextTrained ? try encoders.text() : nil, base: base)
        var objective = try parts.objective(model, encoders, diffusion)
        objective.adapters = adapters
        let evaluation = try Evaluation(parts, objective, showing: .stageC(encoders.previewer), adapters: adapters)
        var described = AdapterContents(base: base, steps: 0)
        for adapter in adapters { try adapter.write(to: &described) }
        let task = TrainingTask(
            name: "lora",
            groups: adapters.flatMap { rates.groups(of: $0) },
            ownRates: rates.own(of: adapters),
            trainingKeys: plugIns.trainingKeys,
            description: described.metadata,
            loss: { [objective] in try objective.loss(of: $0, $1) },
            write: { path, updates in
                var contents = AdapterContents(base: base, steps: updates)
                for adapter in adapters { try adapter.write(to: &contents) }
                return try contents.write(to: path)
            },
            restored: adapters.flatMap(\.parameters),
            evaluation: evaluation,
            learners: diffusion.process.learners)
        return try parts.train(task, objective, resting: parts.resting(encoders))
    }

    /// The adapters that are trained, attached, and what they are in a line.
    private func adapters(
        on model: AdaptedModel, _ generator: Generator, _ console: Console
    ) throws -> (adapters: [any Adapter], summary: String) {
        let adapters: [any Adapter]
        if let startPath {
            let all = try plugIns.continuations(of: startFile(startPath, model), by: plans, model)
            for remark in all.compactMap(\.remark) { console.log("\(startPath): \(remark)") }
            adapters = try all.map { try $0.continuation.make(generator) }
        } else {
            adapters = try plans.map { try $0.make(model, generator) }
        }
        guard !adapters.isEmpty else { throw noAdapter }
        for adapter in adapters { try adapter.attach() }
        return (adapters, try plans.map { try $0.summary(model) }.joined(separator: ", "))
    }

    /// What the configuration says of a file to start from that does not say it itself.
    private func reading(_ model: AdaptedModel) -> AdapterReading {
        var reading = AdapterReading(architecture: model.stageC.configuration)
        reading.text = model.text
        for kind in plugIns.adapters { kind.complete(&reading, from: setting) }
        return reading
    }

    /// The file to start from.
    /// - Throws: a failure of the input that names what it holds, where that is nothing that is trained here.
    private func startFile(_ path: String, _ model: AdaptedModel) throws -> AdapterFile {
        let file = try Tensors.open(path)
        let (found, trained) = (plugIns.kindNames(in: file), Set(plugIns.adapters.map(\.name)))
        guard found.isEmpty || !trained.isDisjoint(with: found) else {
            throw Failure.input(
                "`\(Self.startKey)` names a file of another kind", at: .init(path),
                expected: "an adapter of kind \(trained.sorted().joined(separator: " or "))",
                got: found.joined(separator: ", "),
                advice: "a ControlNet goes on with the `controlnet` recipe, under `controlnet_checkpoint_path`")
        }
        return try plugIns.open(file, reading(model))
    }

    /// What is wrong with a configuration that trains nothing.
    private var noAdapter: Failure {
        .input(
            "the configuration asks for no adapter", at: setting.place,
            expected: "module_filters or text_module_filters and rank, or train_tokens")
    }
}
