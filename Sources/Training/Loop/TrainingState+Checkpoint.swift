import Failures
import JSON
import Torch
import Weights

/// What of a run goes into its checkpoints and comes out of them.
extension TrainingState {
    private static let optimizerKey = "optimizer"

    /// Takes up a checkpoint.
    /// - Parameter log: told of what the run did not do before.
    /// - Throws: a failure of the input where it is not a checkpoint of what this run trains.
    mutating func restore(
        _ checkpoint: RunFolder.Checkpoint, in folder: RunFolder, log: (String) -> Void
    ) throws {
        guard let progress = TrainingProgress(checkpoint.info), let weights = try folder.open(.weights, of: checkpoint),
            let saved = try folder.open(.optimizer, of: checkpoint)
        else {
            throw Failure.input("info.json lacks the place in the data, or a file", at: Failure.Place(folder.path))
        }
        try Self.requireOptimizer(optimizer.name, saved)
        try Self.checkFit(saved, optimizerShapes, isAll: true)
        try Self.checkFit(weights, task.restored.map { ($0.name, $0.tensor.shape) }, isAll: false)
        try Self.checkDescription(weights, task.description)
        for (name, tensor) in task.restored {
            if let sharing = task.sharing {
                try sharing.assign(name, weights.required(name))
            } else {
                try tensor.assign(weights.required(name))
            }
        }
        let ownState = ownState
        try optimizer.restore(updates: progress.steps) { name in try saved.tensor(name).map { try ownState(name, $0) } }
        if let average, let saved = try folder.open(.average, of: checkpoint) {
            try Self.checkFit(saved, averageShapes, isAll: false)
            for (name, mean) in average.means {
                let numbers = task.sharing?.numbers(of: name)
                try mean.assign(Self.part(saved.required(name), numbers))
            }
        } else if let average {
            try average.copyWeights()
            log("weights are averaged from update \(checkpoint.updates) on: the run did not do so before")
        }
        for (learner, means) in zip(task.learners, TrainingProgress.runningLosses(checkpoint.info)) {
            try learner.running.restore(means)
        }
        self.progress = progress
    }

    /// What is trained, and its running mean, to be written.
    var weightParts: [RunFolder.Part] {
        let (task, updates) = (task, progress.updates)
        var parts = [RunFolder.Part(kind: .weights) { try task.write($0, updates) }]
        if let average {
            parts.append(
                .init(kind: .average) { path in
                    if let write = task.writeAverage { return try write(path, updates, average.means) }
                    return try average.withAverage { try task.write(path, updates) }
                })
        }
        return parts
    }

    /// The optimizer's state, to be written.
    var optimizerPart: RunFolder.Part {
        let (optimizer, updates) = (optimizer, progress.updates)
        return RunFolder.Part(kind: .optimizer) { path in
            let metadata = ["trained_steps": String(updates), Self.optimizerKey: optimizer.name]
            if let stream = optimizerStream {
                return try SafetensorsWriter.writeHashed(stream, metadata: metadata, to: path)
            }
            return try SafetensorsWriter.writeHashed(optimizer.state, metadata: metadata, to: path)
        }
    }

    /// - Throws: a failure of the input where another optimizer wrote the state.
    private static func requireOptimizer(_ name: String, _ state: SafetensorsFile) throws {
        let writer = state.metadata[optimizerKey] ?? "an unknown one"
        guard writer != name else { return }
        throw Failure.input(
            "the run was begun with another optimizer", at: Failure.Place(state.path),
            expected: "the state of \(name), which the configuration names", got: "that of \(writer)",
            advice: "put back `optimizer: \(writer)`, or choose another experiment_id")
    }

    /// What an adapter's file says that may be another when a run goes on.
    private static let variable: Set = [
        "trained_steps", "format_version", "base_model", "base_sha256", "base_licence", "module_filters",
        "text_module_filters", "controlnet_filter_params",
    ]

    /// Checks that a checkpoint's file describes what this run trains, such as the tokens and the scale of a LoRA, which
    /// its tensors do not tell.
    private static func checkDescription(_ file: SafetensorsFile, _ description: [String: String]) throws {
        func value(_ text: String?) -> JSON {
            text.map { (try? JSON.parse($0, file: file.path)) ?? .string($0) } ?? .null
        }
        for (key, now) in description.sorted(by: { $0.key < $1.key }) where !variable.contains(key) {
            let before = file.metadata[key]
            guard !ConfigurationChanges.areSame(value(before), value(now)) else { continue }
            throw Failure.input(
                "the checkpoint is of a run with another configuration: its `\(key)` differs",
                at: Failure.Place(file.path),
                expected: now, got: before ?? "nothing",
                advice: "put back the configuration that the run began with, or choose another experiment_id")
        }
    }

    /// Checks that a file of a checkpoint holds what this run trains.
    /// - Parameter isAll: whether it may hold nothing else.
    private static func checkFit(
        _ file: SafetensorsFile, _ tensors: [(name: String, shape: [Int])], isAll: Bool
    ) throws {
        let misfit = tensors.first { file[$0.name]?.shape != $0.shape }
        let names = Set(tensors.map(\.name))
        let stray = isAll ? file.entries.first { !names.contains($0.name) } : nil
        guard misfit != nil || stray != nil else { return }
        throw Failure.input(
            "the checkpoint is of a run with another configuration", at: Failure.Place(file.path),
            expected: misfit.map { "`\($0.name)` of shape \($0.shape)" } ?? "nothing but what is trained",
            got: misfit.map { file[$0.name].map { "\($0.shape)" } ?? "nothing" } ?? stray.map { "`\($0.name)`" },
            advice: "choose another experiment_id, or put back the configuration that the run began with")
    }
}
