import AdapterKit
import Cascade
import Diffusion
import Generation
import Failures
import Settings
import Telemetry
import Torch
import Weights

/// Trains the adapters that a configuration asks for (LoRA layers, learned tokens) on a frozen Stage C:
/// `cascade-adapt lora`.
public enum LoRARecipe {
    /// - Returns: nil for a dry run.
    public static func run(
        _ setting: Setting, options: RunOptions, plugIns: PlugIns, console: Console
    ) throws -> RunOutcome? {
        // Read the configuration.
        var fields = try setting.fields()
        let run = try RunConfiguration(&fields)
        let isAdaptive = try fields.value("adaptive_loss_weight", default: false)
        let startPath: String? = try fields.optional("lora_checkpoint_path")
        let plans = try plugIns.adapters.compactMap { try $0.plan(&fields) }
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
            let file = try AdapterFile(startPath)
            adapters = try plugIns.adapters.compactMap { try $0.read(file, for: model) }
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

        // Say what is trained and how.
        var diffusion = Diffusion()
        let adaptive = isAdaptive ? try AdaptiveLossWeight() : nil
        if let adaptive { diffusion.lossWeight = .adaptive(adaptive) }
        let objective = StageCObjective(
            model: model, effnet: encoders.effnet, text: encoders.text, pictures: encoders.pictures,
            diffusion: diffusion, cache: parts.latentCache)
        let heldOut = try HeldOutUse(parts, objective, previewer: encoders.previewer)
        let task = TrainLoop.Task(
            name: "lora",
            groups: adapters.map { .init($0.parameters, weightDecay: $0.decays ? run.weightDecay : 0) },
            loss: { try objective.loss(of: $0, $1) },
            write: { path, updates in
                var contents = AdapterContents(base: base, steps: updates)
                for adapter in adapters { try adapter.write(to: &contents) }
                try contents.write(to: path)
            },
            restored: adapters.flatMap(\.parameters),
            heldOut: heldOut,
            adaptive: adaptive)
        return try parts.loop(task, load: parts.load)
    }

    /// What is wrong with a configuration that trains nothing.
    static func noAdapter(_ setting: Setting) -> Failure {
        .input(
            "the configuration asks for no adapter", at: setting.place,
            expected: "module_filters and rank, or train_tokens")
    }
}
