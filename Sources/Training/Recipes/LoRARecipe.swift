import AdapterKit
import Cascade
import Diffusion
import Generation
import Failures
import Settings
import Telemetry
import Torch
import Weights

/// Trains the adapters that a configuration asks for (LoRA layers, learned tokens) on a frozen Stage C and text tower:
/// `cascade-adapt lora`.
public enum LoRARecipe {
    /// - Returns: nil for a dry run.
    public static func run(
        _ setting: Setting, options: RunOptions, plugIns: PlugIns, console: Console
    ) throws -> RunOutcome? {
        try TrainedStage.checkTakesAdapters(setting)
        // Read the configuration.
        var fields = try setting.fields()
        let run = try RunConfiguration(&fields)
        let diffusion = try TrainingDiffusion(&fields, run.stage, log: console.log)
        let startPath = try startPath(&fields)
        let plans = try plugIns.adapters.compactMap { try $0.plan(&fields) }
        let rates = try AdapterRates(&fields, run, plugIns)
        try fields.finish()

        // Load.
        let parts = try RecipeParts(run, options, console)
        let (stageC, base) = try parts.loading.base()
        stageC.chooseComputeDType()
        let encoders = try parts.loading.encoders()
        let model = AdaptedModel(stageC: stageC, text: encoders.text, base: base)
        let generator = try parts.generator(RandomStream.initialisation)
        let adapters: [any Adapter]
        if let startPath {
            let file = try plugIns.open(startPath, reading(setting, model))
            adapters = try plugIns.adapters.compactMap { try $0.read(file, for: model) }
            for plan in plans { adapters.forEach(plan.settle) }
        } else {
            adapters = try plans.map { try $0.make(model, generator) }
        }
        guard !adapters.isEmpty else {
            throw noAdapter(setting)
        }
        for adapter in adapters { try adapter.attach() }
        parts.describe(
            try plans.map { try $0.summary(model) }.joined(separator: ", ") + " of \(base.name)",
            trainable: adapters.flatMap(\.parameters).reduce(0) { $0 + $1.tensor.count })
        if options.isDryRun { return nil }

        if run.data.cacheFolder != nil, !encoders.text.isAsLoaded {
            console.log("cache_dir keeps no captions in this run: what is trained changes how they are encoded")
        }

        // Say what is trained and how.
        var objective = try parts.objective(model, encoders, diffusion)
        objective.adapters = adapters
        let evaluation = try Evaluation(parts, objective, showing: .stageC(encoders.previewer))
        let task = TrainingTask(
            name: "lora",
            groups: adapters.flatMap { rates.groups(of: $0) },
            ownRates: rates.own(of: adapters),
            loss: { [objective] in try objective.loss(of: $0, $1) },
            write: { path, updates in
                var contents = AdapterContents(base: base, steps: updates)
                for adapter in adapters { try adapter.write(to: &contents) }
                try contents.write(to: path)
            },
            restored: adapters.flatMap(\.parameters),
            evaluation: evaluation,
            learners: diffusion.process.learners)
        return try parts.train(task, objective)
    }

    /// The adapters to start from: `lora_checkpoint_path`.
    static func startPath(_ fields: inout Fields) throws -> String? {
        try ModelLoading.path("lora_checkpoint_path", to: "the adapters", &fields)
    }

    /// What the configuration says of a file to start from that does not say it itself.
    static func reading(_ setting: Setting, _ model: AdaptedModel) -> AdapterReading {
        var reading = AdapterReading(architecture: model.stageC.configuration)
        reading.text = model.text
        reading.moduleFilters = setting["module_filters"]?.elements?.compactMap(\.text) ?? []
        reading.tokens = (setting["train_tokens"]?.elements ?? []).compactMap { entry in
            guard let parts = entry.elements, parts.count == 2, let text = parts[0].text else { return nil }
            return .init(text: text, pattern: parts[1].isNull ? nil : parts[1].text)
        }
        return reading
    }

    /// What is wrong with a configuration that trains nothing.
    static func noAdapter(_ setting: Setting) -> Failure {
        .input(
            "the configuration asks for no adapter", at: setting.place,
            expected: "module_filters or text_module_filters and rank, or train_tokens")
    }
}
