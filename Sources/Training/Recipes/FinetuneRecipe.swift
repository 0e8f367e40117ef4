import AdapterKit
import Cascade
import Diffusion
import Generation
import Failures
import Optimization
import Settings
import Telemetry
import Torch
import Weights

/// Trains a stage whole: `cascade-adapt finetune`. What follows is Stage C's; Stage B has a recipe of its own.
public enum FinetuneRecipe {
    /// - Returns: nil for a dry run.
    public static func run(_ setting: Setting, options: RunOptions, console: Console) throws -> RunOutcome? {
        if try TrainedStage(of: setting) == .b {
            return try StageBRecipe.run(setting, options: options, console: console)
        }
        // Read the configuration.
        var fields = try setting.fields()
        let run = try RunConfiguration(&fields)
        let diffusion = try TrainingDiffusion(&fields, run.stage, log: console.log)
        try fields.finish()

        // Load.
        let parts = try RecipeParts(run, options, console)
        let stageC = try parts.loading.trainable(parts.generator(RandomStream.initialisation))
        let parameters = stageC.store.parameters
        parts.describe("Stage C whole", trainable: parameters.reduce(0) { $0 + $1.tensor.count })
        if options.isDryRun { return nil }
        let encoders = try parts.loading.encoders()
        let model = AdaptedModel(
            stageC: stageC, text: encoders.text, base: BaseModel(name: run.modelVersion, sha256: ""))

        // Say what is trained and how.
        let objective = try parts.objective(model, encoders, diffusion, isFrozen: false)
        let evaluation = try Evaluation(parts, objective, showing: .stageC(encoders.previewer))
        let task = TrainingTask(
            name: "generator",
            groups: ParameterGroup.decaying(parameters, by: run.weightDecay),
            loss: { try objective.loss(of: $0, $1) },
            write: { path, updates in
                try SafetensorsWriter.write(
                    stageC.store.tensors, metadata: ["format": "pt", "trained_steps": String(updates)], to: path)
            },
            restored: stageC.store.tensors,
            evaluation: evaluation,
            learners: diffusion.process.learners)
        return try parts.train(task, objective)
    }
}
