import Diffusion
import Failures
import Foundation
import JSON
import Loading
import Optimization
import Telemetry
import Torch
import Weights

/// The loop that every recipe runs: batches in, updates of what is trainable, logs, checkpoints and previews out.
///
/// It is synchronous and does not care what is trained. All random numbers of an update come from the seed and the
/// update's number, so a run that is resumed draws what the uninterrupted one would have drawn.
struct TrainLoop {
    /// What a recipe hands to the loop.
    struct Task {
        /// The name of the files: `controlnet`, `lora` or `generator`.
        var name: String
        var groups: [ParameterGroup]
        /// The loss of a micro batch, with the graph to differentiate.
        var loss: (PictureBatch, Generator) throws -> TrainingLoss
        /// Writes what is trained.
        var write: (_ path: String, _ updates: Int) throws -> Void
        /// What a resumed run takes up of the file that was written.
        var restored: [(name: String, tensor: Tensor)]
        /// What is measured and shown beside the training.
        var heldOut: HeldOutUse
        /// Take in what an update learned of the losses: adaptive weights, an adaptive schedule.
        var learners: [any LossLearner]
    }

    let run: RunConfiguration
    let options: RunOptions
    let console: Console
    let seed: UInt64

    init(run: RunConfiguration, options: RunOptions, console: Console) {
        self.run = run
        self.options = options
        self.console = console
        seed = options.seed ?? run.seed
    }

    /// Trains until the last update or an interruption.
    /// - Parameter load: makes the loader that goes on at a state.
    func callAsFunction(_ task: Task, load: (LoaderState) throws -> BatchLoader) throws -> RunOutcome {
        let folder = try RunFolder(
            checkpointPath: run.checkpointPath, experimentID: run.experimentID, name: task.name)
        let output = try OutputFolder(outputPath: run.outputPath, experimentID: run.experimentID)
        let optimizer = try run.optimizer.make(task.groups)
        let average = try run.average.map { try AveragedWeights(of: task.groups.parameters, $0) }
        var progress = try begin(task, folder, optimizer, average)
        let last = min(run.updates, options.steps ?? run.updates)
        if progress.heldOutBefore == nil, let measure = task.heldOut.measure { progress.heldOutBefore = try measure() }
        let log = try TrainingLog(
            self, output, resumeAfter: progress.updates, before: progress.heldOutBefore)

        let loader = try load(progress.loader)
        defer { loader.stop() }
        let clip = GradientClipping(limit: run.gradientClip)
        var bar = ProgressBar(
            run.experimentID, total: last, done: progress.updates, console: console, now: Self.now)
        Interruption.install()
        var isSaved = true

        while progress.updates < last && !Interruption.isRequested {
            let began = Self.now()
            let update = progress.updates + 1
            let raw, waited: Double
            let before = (loader: progress.loader, losses: task.learners.map { $0.running.means })
            do {
                (raw, waited) = try accumulate(task, loader, update, &progress)
            } catch is CancellationError where Interruption.isRequested {
                // The data did not come in time to finish this update: as if it had not begun.
                try optimizer.clearGradients()
                progress.loader = before.loader
                for (learner, means) in zip(task.learners, before.losses) { try learner.running.restore(means) }
                break
            }
            let (norm, scale) = try clip(task.groups)
            guard raw.isFinite, norm.isFinite else {
                try optimizer.clearGradients()
                throw Failure.run(
                    "the loss is not a number at update \(update)", got: "loss \(raw), gradient norm \(norm)",
                    advice: "try a lower lr; the last checkpoint is untouched")
            }
            let rate = try optimizer.effectiveRate(run.schedule(update))
            try optimizer.step(learningRate: run.schedule(update), gradientScale: scale)
            try optimizer.clearGradients()
            try average?.follow(update: update)
            progress.updates = update
            progress.loss = progress.loss.map { 0.99 * $0 + 0.01 * raw } ?? raw
            let seconds = Self.now() - began
            isSaved = update % run.saveEvery == 0 || update == last
            if update == last { progress.heldOutAfter = try task.heldOut.measure?() }
            // Logged before it is saved, so that a run killed at any moment goes on with logs that lack nothing.
            try log.append(
                UpdateMetrics(
                    step: update, loss: progress.loss ?? raw, rawLoss: raw, gradNorm: norm, lr: rate,
                    seconds: seconds, samplesPerSecond: Double(run.batchSize) / seconds,
                    dataSeconds: waited),
                validation: progress.heldOutAfter, preview: isSaved ? preview(task) : nil)
            bar.update(done: update, loss: progress.loss)
            if update % run.backupEvery == 0 {
                try folder.backUp(updates: update, average: average) { try task.write($0, update) }
            }
            if isSaved {
                try log.sync()
                try save(task, folder, optimizer, average, progress)
                try log.report("Under way", outcome(folder, output, progress, loader))
            }
        }
        if !isSaved {
            try log.sync()
            try save(task, folder, optimizer, average, progress)
        }
        bar.finish()
        if loader.colourProfiles > 0 {
            console.log("\(loader.colourProfiles) pictures came with colour profiles, which are ignored")
        }
        if !loader.drops.isEmpty { console.log("left out of the data: \(loader.drops)") }
        var outcome = outcome(folder, output, progress, loader)
        outcome.isComplete = progress.updates >= last
        if outcome.isComplete { outcome.heldOut = try judge(task, progress, output) }
        try log.report(
            outcome.isComplete ? "Done" : "Stopped by a signal; the same command goes on", outcome)
        if let upload = try log.finish(isComplete: outcome.isComplete) {
            console.log("to see the run on W&B: \(upload)")
        }
        return outcome
    }

    /// Seconds on a clock that only goes forward.
    private static func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    // MARK: Parts of an update

    /// What changes from update to update and is saved with a checkpoint.
    private struct Progress {
        var updates = 0
        var loss: Double?
        var loader = LoaderState()
        var heldOutBefore: HeldOut.Measurement?
        /// Measured after the last update; not saved.
        var heldOutAfter: HeldOut.Measurement?
    }

    /// Adds up the gradients of an update's micro batches.
    /// - Returns: the mean unweighted loss, and how long batches were waited for.
    private func accumulate(
        _ task: Task, _ loader: BatchLoader, _ update: Int, _ progress: inout Progress
    ) throws -> (loss: Double, secondsWaited: Double) {
        var total = 0.0
        var waited = 0.0
        for part in 0..<run.accumulation {
            let batch = try loader.next()
            waited += batch.secondsWaited
            let generator = try Generator(
                seed: seed, stream: RandomStream.update, update: (update - 1) * run.accumulation + part)
            let loss = try task.loss(batch, generator)
            try (loss.weighted * (1 / Double(run.accumulation))).backward()
            for learner in task.learners { try learner.update(logSNR: loss.logSNR, losses: loss.perSample) }
            total += try loss.perSample.mean().item()
            progress.loader = batch.stateAfter
        }
        return (total / Double(run.accumulation), waited)
    }

    private func preview(_ task: Task) throws -> PreviewGrid? {
        try task.heldOut.preview(Generator(seed: seed, stream: RandomStream.preview, update: 0))
    }

    // MARK: Checkpoints

    private func begin(
        _ task: Task, _ folder: RunFolder, _ optimizer: any Optimizer, _ average: AveragedWeights?
    ) throws -> Progress {
        guard let checkpoint = try folder.last(warn: console.warn) else { return Progress() }
        try checkpoint.requireOptimizer(optimizer.name)
        try Self.checkFit(checkpoint.optimizer, optimizer.state, isAll: true)
        try Self.checkFit(checkpoint.weights, task.restored, isAll: false)
        for (name, tensor) in task.restored { try tensor.assign(checkpoint.weights.required(name)) }
        try optimizer.restore(updates: checkpoint.updates) { try checkpoint.optimizer.tensor($0) }
        if let average, let saved = checkpoint.average {
            try Self.checkFit(saved, average.means, isAll: false)
            for (name, mean) in average.means { try mean.assign(saved.required(name)) }
        } else if let average {
            try average.copyWeights()
            console.log("weights are averaged from update \(checkpoint.updates) on: the run did not do so before")
        }
        var progress = Progress()
        progress.updates = checkpoint.updates
        progress.loss = checkpoint.info["loss"]?.doubleValue
        guard let loader = LoaderState(checkpoint.info["data"] ?? .null) else {
            throw Failure.input("info.json lacks the place in the data", at: Failure.Place(folder.path))
        }
        progress.loader = loader
        if let began = loader.seed, began != seed {
            console.warn("the samples keep the order of seed \(began), with which the run began")
        }
        if let losses = checkpoint.info["held_out_before"]?.arrayValue?.compactMap(\.doubleValue), !losses.isEmpty {
            progress.heldOutBefore = HeldOut.Measurement(losses: losses)
        }
        for (learner, losses) in zip(task.learners, checkpoint.info["running_losses"]?.arrayValue ?? []) {
            try learner.running.restore((losses.arrayValue ?? []).compactMap { $0.doubleValue.map(Float.init) })
        }
        console.log("resumed at update \(checkpoint.updates)")
        return progress
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

    private func save(
        _ task: Task, _ folder: RunFolder, _ optimizer: any Optimizer, _ average: AveragedWeights?, _ progress: Progress
    ) throws {
        var info = JSON.Object()
        info["experiment_id"] = .string(run.experimentID)
        info["seed"] = .integer(Int64(bitPattern: seed))
        info["loss"] = progress.loss.map(JSON.number)
        info["data"] = progress.loader.json
        info["held_out_before"] = progress.heldOutBefore.map { .array($0.losses.map(JSON.number)) }
        if !task.learners.isEmpty {
            info["running_losses"] = .array(
                task.learners.map { .array($0.running.means.map { .number(Double($0)) }) })
        }
        try folder.save(updates: progress.updates, optimizer: optimizer, average: average, info: info) {
            try task.write($0, progress.updates)
        }
    }

    // MARK: How it goes

    /// How the run stands.
    private func outcome(
        _ folder: RunFolder, _ output: OutputFolder, _ progress: Progress, _ loader: BatchLoader
    ) -> RunOutcome {
        var outcome = RunOutcome(
            updates: progress.updates, checkpoint: folder.weightsPath, output: output.path, isComplete: false)
        outcome.drops = loader.drops
        return outcome
    }

    /// What training did to the held-out loss; nil where none was measured.
    private func judge(_ task: Task, _ progress: Progress, _ output: OutputFolder) throws -> HeldOutReport? {
        guard let before = progress.heldOutBefore, let measure = task.heldOut.measure else { return nil }
        let report = HeldOutReport(
            before: before, after: try progress.heldOutAfter ?? measure(), swapped: try task.heldOut.measureSwapped?())
        try output.write(report)
        return report
    }
}
