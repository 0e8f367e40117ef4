import CMemory
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
        /// The learning rates that parts of it have of their own, by name, as factors of the update's.
        var ownRates: [(name: String, factor: Double)] = []
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
        let folder = try RunFolder(run, name: task.name)
        let output = try OutputFolder(outputPath: run.outputPath, experimentID: run.experimentID)
        let optimizer = try run.optimizer.make(task.groups)
        let average = try run.average.map { try AveragedWeights(of: task.groups.parameters, $0) }
        var progress = try begin(task, folder, optimizer, average)
        let last = min(run.updates, options.steps ?? run.updates)
        if progress.heldOutBefore == nil, let measure = task.heldOut.measure {
            (progress.heldOutBefore, progress.heldOutSince) = (try measure(), progress.updates)
        }
        let log = try TrainingLog(
            self, output, resumeAfter: progress.updates,
            before: progress.heldOutSince == 0 ? progress.heldOutBefore : nil)
        if progress.updates >= last { console.log("nothing is left to train of \(last) updates") }

        let loader = try load(progress.loader)
        defer { loader.stop() }
        let clip = GradientClipping(limit: run.gradientClip)
        var bar = ProgressBar(
            run.experimentID, total: last, done: progress.updates, console: console, now: Self.now)
        Interruption.install()
        var attempted = progress.updates
        // A run that ended so may be tried again.
        progress.bad.inARow = min(progress.bad.inARow, run.maxBadSteps - 1)
        var isLost: Bool { progress.bad.inARow >= run.maxBadSteps }
        // Loading, measuring, previewing and saving take more than an update does, and the allocator would keep it all.
        cascade_memory_release()

        while progress.updates < last && !isLost && !Interruption.isRequested {
            let began = Self.now()
            let update = progress.updates + 1
            let sum: Accumulated
            let before = (loader: progress.loader, losses: task.learners.map { $0.running.means })
            func forgetLosses() throws {
                for (learner, means) in zip(task.learners, before.losses) { try learner.running.restore(means) }
            }
            do {
                sum = try accumulate(task, loader, update, &progress)
            } catch is CancellationError where Interruption.isRequested {
                // The data did not come in time to finish this update: as if it had not begun.
                try optimizer.clearGradients()
                progress.loader = before.loader
                try forgetLosses()
                break
            }
            let (norm, scale) = try clip(task.groups)
            let isGood = sum.loss.isFinite && norm.isFinite
            let rate = try optimizer.effectiveRate(run.schedule(update))
            if isGood {
                try optimizer.step(learningRate: run.schedule(update), gradientScale: scale)
                try average?.follow(update: update)
                progress.loss = progress.loss.map { 0.99 * $0 + 0.01 * sum.loss } ?? sum.loss
            } else {
                try forgetLosses()
                console.warn(
                    "update \(update) changes nothing: loss \(sum.loss), gradient norm \(norm.magnitude), samples "
                        + sum.samples.joined(separator: ", "))
            }
            try optimizer.clearGradients()
            progress.bad.count(isGood: isGood)
            progress.updates = update
            let seconds = Self.now() - began
            let isDue = update % run.saveEvery == 0 || update == last
            let isMeasured = update % run.validationEvery == 0 || update == last
            let validation = isMeasured ? try task.heldOut.measure?() : nil
            if update == last { progress.heldOutAfter = validation }
            // Logged before it is saved, so that a run killed at any moment goes on with logs that lack nothing.
            try log.append(
                UpdateMetrics(
                    step: update, loss: progress.loss ?? sum.loss, rawLoss: sum.loss, gradNorm: norm, lr: rate,
                    seconds: seconds, samplesPerSecond: Double(run.batchSize) / seconds,
                    dataSeconds: sum.secondsWaited),
                ownRates: task.ownRates.map { ($0.name, $0.factor * rate) },
                bad: isGood ? nil : (progress.bad.total, sum.samples), validation: validation,
                preview: isDue ? preview(task, average) : nil)
            bar.update(done: update, loss: progress.loss)
            if update % run.backupEvery == 0 {
                for part in parts(task, average, update) { try folder.backUp(updates: update, part) }
            }
            if isDue {
                // Weights that have just given no finite loss may be the reason why: those before them stay the last.
                if isGood || update == last && !isLost {
                    attempted = update
                    try log.sync()
                    try save(task, folder, optimizer, average, &progress)
                }
                try log.report("Under way", outcome(folder, output, progress, loader))
            }
            if isDue || isMeasured { cascade_memory_release() }
        }
        if attempted != progress.updates && !isLost {
            try log.sync()
            try save(task, folder, optimizer, average, &progress)
        }
        bar.finish()
        if loader.colourProfiles > 0 {
            console.log("\(loader.colourProfiles) pictures came with colour profiles, which are ignored")
        }
        if !loader.drops.isEmpty { console.log("left out of the data: \(loader.drops)") }
        var outcome = outcome(folder, output, progress, loader)
        if isLost || progress.saved != progress.updates {
            try log.report("Ended with an error", outcome)
            throw lost(progress, folder)
        }
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

    /// What the micro batches of an update come to.
    private struct Accumulated {
        /// Mean, unweighted.
        var loss = 0.0
        /// How long batches were waited for.
        var secondsWaited = 0.0
        /// `SHARD/KEY` of every sample.
        var samples: [String] = []
    }

    /// Adds up the gradients of an update's micro batches.
    private func accumulate(
        _ task: Task, _ loader: BatchLoader, _ update: Int, _ progress: inout TrainingProgress
    ) throws -> Accumulated {
        var sum = Accumulated()
        for part in 0..<run.accumulation {
            let batch = try loader.next()
            sum.secondsWaited += batch.secondsWaited
            sum.samples += batch.places
            let generator = try Generator(
                seed: seed, stream: RandomStream.update, update: (update - 1) * run.accumulation + part)
            let loss = try task.loss(batch, generator)
            try (loss.weighted * (1 / Double(run.accumulation))).backward()
            for learner in task.learners { try learner.update(logSNR: loss.logSNR, losses: loss.perSample) }
            sum.loss += try loss.perSample.mean().item() / Double(run.accumulation)
            progress.loader = batch.stateAfter
        }
        return sum
    }

    private func preview(_ task: Task, _ average: AveragedWeights?) throws -> PreviewGrid? {
        try task.heldOut.preview(Generator(seed: seed, stream: RandomStream.preview, update: 0), average)
    }

    // MARK: How it goes

    /// How the run stands.
    private func outcome(
        _ folder: RunFolder, _ output: OutputFolder, _ progress: TrainingProgress, _ loader: BatchLoader
    ) -> RunOutcome {
        var outcome = RunOutcome(
            updates: progress.updates, checkpoint: folder.weightsPath, output: output.path, isComplete: false)
        outcome.loaded = loader.loaded
        outcome.drops = loader.drops
        return outcome
    }

    /// Why a run ended whose losses or weights are no numbers any more.
    private func lost(_ progress: TrainingProgress, _ folder: RunFolder) -> Failure {
        let row = progress.bad.inARow
        let standing = progress.saved > 0 ? "the checkpoint is of update \(progress.saved)" : "no checkpoint was saved"
        return .run(
            row >= run.maxBadSteps
                ? "\(row) updates in a row had no finite loss" : "the trained weights are not finite any more",
            at: Failure.Place(folder.path), got: "update \(progress.updates) was the last",
            advice: "try a lower lr, or look at the samples named above; \(standing)")
    }

    /// What training did to the held-out loss; nil where none was measured.
    private func judge(_ task: Task, _ progress: TrainingProgress, _ output: OutputFolder) throws -> HeldOutReport? {
        guard let before = progress.heldOutBefore, let measure = task.heldOut.measure else { return nil }
        let report = HeldOutReport(
            before: before, after: try progress.heldOutAfter ?? measure(), swapped: try task.heldOut.measureSwapped?())
        try output.write(report)
        return report
    }
}
