import Failures
import JSON
import Optimization
import Torch
import Weights

/// What of a run goes into its checkpoints and comes out of them.
extension TrainLoop {
    /// Takes up the last checkpoint, or begins.
    func begin(
        _ task: Task, _ folder: RunFolder, _ optimizer: any Optimizer, _ average: AveragedWeights?
    ) throws -> TrainingProgress {
        guard let checkpoint = try folder.last(warn: console.warn) else { return TrainingProgress() }
        guard var progress = TrainingProgress(checkpoint.info), let weights = try folder.open(.weights, of: checkpoint),
            let state = try folder.open(.optimizer, of: checkpoint)
        else {
            throw Failure.input("info.json lacks the place in the data, or a file", at: Failure.Place(folder.path))
        }
        try Self.requireOptimizer(optimizer.name, state)
        try Self.checkFit(state, optimizer.state, isAll: true)
        try Self.checkFit(weights, task.restored, isAll: false)
        for (name, tensor) in task.restored { try tensor.assign(weights.required(name)) }
        try optimizer.restore(updates: progress.steps) { try state.tensor($0) }
        if let average, let saved = try folder.open(.average, of: checkpoint) {
            try Self.checkFit(saved, average.means, isAll: false)
            for (name, mean) in average.means { try mean.assign(saved.required(name)) }
        } else if let average {
            try average.copyWeights()
            console.log("weights are averaged from update \(checkpoint.updates) on: the run did not do so before")
        }
        for (learner, means) in zip(task.learners, TrainingProgress.runningLosses(checkpoint.info)) {
            try learner.running.restore(means)
        }
        if let began = progress.loader.seed, began != seed {
            console.warn("the samples keep the order of seed \(began), with which the run began")
        }
        try folder.settle(checkpoint)
        console.log("resumed at update \(checkpoint.updates)")
        let changes = ConfigurationChanges(since: checkpoint.info["configuration"], run.written)
        if let summary = changes.summary { console.log("changed since then: \(summary)") }
        let wasSeed = checkpoint.info["seed"]?.intValue.map { UInt64(bitPattern: Int64($0)) }
        if progress.heldOutBefore != nil, changes.concernHeldOut || wasSeed != seed {
            progress.heldOutBefore = nil
            console.log("the held-out loss is compared from here on: before, it was taken over something else")
        }
        return progress
    }

    private static let optimizerKey = "optimizer"

    /// - Throws: a failure of the input where another optimizer wrote the state.
    private static func requireOptimizer(_ name: String, _ state: SafetensorsFile) throws {
        let writer = state.metadata[optimizerKey] ?? "none that is known"
        guard writer != name else { return }
        throw Failure.input(
            "the run was begun with another optimizer", at: Failure.Place(state.path),
            expected: "the state of \(name), which the configuration names", got: "that of \(writer)",
            advice: "put back `optimizer: \(writer)`, or choose another experiment_id")
    }

    /// Checks that a file of a checkpoint holds what this run trains.
    /// - Parameter isAll: whether it may hold nothing else.
    private static func checkFit(
        _ file: SafetensorsFile, _ tensors: [(name: String, tensor: Tensor)], isAll: Bool
    ) throws {
        let misfit = tensors.first { file[$0.name]?.shape != $0.tensor.shape }
        let names = Set(tensors.map(\.name))
        let stray = isAll ? file.entries.first { !names.contains($0.name) } : nil
        guard misfit != nil || stray != nil else { return }
        throw Failure.input(
            "the checkpoint is of a run with another configuration", at: Failure.Place(file.path),
            expected: misfit.map { "`\($0.name)` of shape \($0.tensor.shape)" } ?? "nothing but what is trained",
            got: misfit.map { file[$0.name].map { "\($0.shape)" } ?? "nothing" } ?? stray.map { "`\($0.name)`" },
            advice: "choose another experiment_id, or put back the configuration that the run began with")
    }

    /// What is trained, and its running mean, to be written.
    func parts(_ task: Task, _ average: AveragedWeights?, _ updates: Int) -> [RunFolder.Part] {
        var parts = [RunFolder.Part(kind: .weights) { try task.write($0, updates) }]
        if let average {
            parts.append(.init(kind: .average) { path in try average.withAverage { try task.write(path, updates) } })
        }
        return parts
    }

    /// Saves, unless there is nothing good to save: an update may have made weights of the network infinite, and only the
    /// next one's loss would show it.
    func save(
        _ task: Task, _ folder: RunFolder, _ optimizer: any Optimizer, _ average: AveragedWeights?,
        _ progress: inout TrainingProgress
    ) throws {
        let spoilt = try task.groups.lazy.flatMap(\.parameters).first { try !$0.tensor.isAllFinite() }
        if let spoilt {
            console.warn(
                "update \(progress.updates) is not saved: `\(spoilt.name)` has values that are not finite")
            return
        }
        let updates = progress.updates
        var info = progress.json(task.learners.map(\.running.means))
        info["experiment_id"] = .string(run.experimentID)
        info["seed"] = .integer(Int(truncatingIfNeeded: seed))
        info["configuration"] = ConfigurationChanges.recorded(run.written)
        do {
            try folder.save(
                updates: updates, info: info,
                parts(task, average, updates) + [
                    .init(kind: .optimizer) { path in
                        let metadata = ["trained_steps": String(updates), Self.optimizerKey: optimizer.name]
                        try SafetensorsWriter.write(optimizer.state, metadata: metadata, to: path)
                    }
                ])
        } catch var failure as Failure {
            let standing =
                progress.saved > 0
                ? "the checkpoint of update \(progress.saved) is as it was" : "no checkpoint was saved"
            failure.advice = failure.advice.map { "\($0); \(standing)" } ?? standing
            throw failure
        }
        progress.saved = updates
    }
}
