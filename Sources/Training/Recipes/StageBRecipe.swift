import Cascade
import Optimization
import Settings
import Telemetry
import Torch
import Weights

/// Trains Stage B whole: `cascade-adapt finetune` where `model_version` is one of Stage B's.
enum StageBRecipe {
    /// - Returns: nil for a dry run.
    static func run(_ setting: Setting, options: RunOptions, console: Console) throws -> RunOutcome? {
        // Read the configuration.
        var fields = try setting.fields()
        let run = try RunConfiguration(&fields)
        let diffusion = try TrainingDiffusion(&fields, run.stage, log: console.log)
        try fields.finish()

        // Load.
        let parts = try RecipeParts(run, options, console)
        let (stageB, store) = try parts.loading.trainableStageB(parts.generator(RandomStream.initialisation))
        parts.describe("Stage B whole", trainable: store.parameters.reduce(0) { $0 + $1.tensor.count })
        if options.isDryRun { return nil }
        let stageA = try parts.loading.stageA()
        let effnet = try parts.loading.effnet()
        let text = try parts.loading.textEncoder()

        // Say what is trained and how.
        let objective = StageBObjective(
            stageB: stageB, effnet: effnet,
            encodings: try parts.encodings { try stageA.encode($0) },
            text: try parts.texts(text), diffusion: diffusion.process, lossFunction: diffusion.lossFunction,
            chances: run.chances, dropout: try DropoutRates(run, stageB.configuration, isFrozen: false))
        let task = TrainingTask(
            name: "generator",
            groups: ParameterGroup.decaying(store.parameters, by: run.weightDecay),
            loss: { try objective.loss(of: $0, $1) },
            write: { path, updates in
                try SafetensorsWriter.write(
                    store.tensors, metadata: ["format": "pt", "trained_steps": String(updates)], to: path)
            },
            restored: store.tensors,
            evaluation: try Evaluation(parts, objective, showing: .stageB(stageA)),
            learners: diffusion.process.learners)
        return try parts.train(task, objective)
    }
}
