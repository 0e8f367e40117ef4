import Failures
import Loading
import Telemetry
import Torch

/// The loop that every recipe runs: it decides when to update, measure, preview, back up, save, report and stop.
///
/// It is synchronous and does not care what is trained. ``Update`` changes what is trained, ``RunRecorder`` alone writes.
struct TrainLoop {
    let run: RunConfiguration
    let options: RunOptions
    let console: Console
    let seed: UInt64
    /// What is agreed on with other processes; nil where there are none.
    let shared: SharedUpdates?
    /// The last update of this start.
    private let last: Int

    init(run: RunConfiguration, options: RunOptions, console: Console) {
        self.run = run
        self.options = options
        self.console = console
        seed = options.seed ?? run.seed
        shared = options.group.map { SharedUpdates($0, passTogether: run.sharesStage) }
        last = min(run.updates, options.steps ?? run.updates)
    }

    /// Trains until the last update or an interruption.
    /// - Parameter load: makes the loader that goes on at a state.
    func callAsFunction(_ task: TrainingTask, load: (LoaderState) throws -> BatchLoader) throws -> RunOutcome {
        let isWriter = shared?.isWriter ?? true
        // The others read what the first has put in order.
        if !isWriter { try shared?.meet() }
        let folder = try RunFolder(run, name: task.name, isWritten: isWriter)
        let output = try OutputFolder(outputPath: run.outputPath, experimentID: run.experimentID)
        var state = try TrainingState(task, run, shared)
        try resume(&state, from: folder)
        if isWriter { try shared?.meet() }
        try shared?.check(
            "checkpoint", "\(state.progress.updates)",
            advice: "checkpoint_path has to be a folder that all machines share")
        try check(state)
        if state.progress.validationBefore == nil, let measure = task.evaluation.measure {
            (state.progress.validationBefore, state.progress.validationSince) = (try measure(), state.progress.updates)
        }
        let recorder =
            try isWriter ? RunRecorder(self, checkpoints: folder, output: output, state.progress) : nil
        if state.progress.updates >= last { console.log("nothing is left to train of \(last) updates") }

        let loader = try load(state.progress.loader)
        defer { loader.stop() }
        func standing() -> RunOutcome {
            RunOutcome(state.progress, checkpoint: folder.weightsPath, output: output.path, loader, shared?.times)
        }
        options.interruption.begin()
        // There is always a checkpoint to go back to.
        if state.fused != nil, state.progress.updates == 0, last > 0 { try save(&state, recorder) }
        do {
            try train(&state, from: loader, recorder) { try goBack(&$0, in: folder) }
        } catch  where loader.failure != nil {
            try recorder?.report("Ended with an error", standing())
            throw error
        }
        if loader.colourProfiles > 0 {
            console.log("\(loader.colourProfiles) images came with colour profiles, which are ignored")
        }
        for remark in run.data.remarks(loader.loaded.found, of: loader.loaded.samples) { console.warn(remark) }
        if !loader.drops.isEmpty { console.log("left out of the data: \(loader.drops)") }

        var outcome = standing()
        if isLost(state.progress) || state.progress.saved != state.progress.updates {
            try recorder?.report("Ended with an error", outcome)
            throw lost(state.progress, folder)
        }
        outcome.isComplete = state.progress.updates >= last
        if outcome.isComplete, makesPasses(recorder), let report = try judged(state) {
            try recorder?.write(report)
            outcome.validation = report
        }
        try recorder?.report(
            outcome.isComplete ? "Done" : "Stopped by a signal; the same command goes on", outcome)
        if let upload = try recorder?.finish(isComplete: outcome.isComplete) {
            console.log("to see the run on W&B: \(upload)")
        }
        return outcome
    }

    /// Makes updates until the last, an interruption, or too many bad ones in a row.
    /// - Parameters:
    ///   - recorder: nil where another process writes.
    ///   - goBack: takes up the last checkpoint after an update that has spoilt the weights.
    /// - Throws: a failure of the data too, once all updates before it are saved.
    func train(
        _ state: inout TrainingState, from loader: BatchLoader, _ recorder: RunRecorder?,
        goBack: (inout TrainingState) throws -> Void
    ) throws {
        let update = Update(run: run, seed: seed, clock: options.clock, shared: shared)
        let isAsked = options.interruption.isRequested
        // Several processes end after the same update.
        func isInterrupted() throws -> Bool { try shared?.any(isAsked()) ?? isAsked() }
        var bar = ProgressBar(
            run.experimentID, total: last, done: state.progress.updates, console: console, now: options.clock.seconds)
        var attempted = state.progress.updates
        // Loading, measuring, previewing and saving take more than an update does, and the allocator would keep it all.
        Engine.releaseMemory()

        while state.progress.updates < last, !isLost(state.progress), try !isInterrupted() {
            let made: Update.Result
            do {
                made = try update(&state) { try loader.next() }
            } catch let cancellation as CancellationError {
                guard try isInterrupted() else { throw cancellation }
                break  // The data did not come in time to finish this update.
            } catch let failure as Failure where failure == loader.failure {
                break  // No more of it is to come.
            }
            if !made.isGood { console.warn(made.complaint) }
            if let parts = made.newParts {
                console.warn(
                    "memory ran out at update \(made.number), which was taken again in \(parts) parts, as all from here on; "
                        + "the losses stay the same")
            }
            if made.isSpoilt { try goBack(&state) }
            let isLast = made.number == last
            let isDue = made.number % run.saveEvery == 0 || isLast
            let isMeasured = made.number % run.validationEvery == 0 || isLast
            let validation = isMeasured ? try state.task.evaluation.measure?() : nil
            if isLast { state.progress.validationAfter = validation }
            let preview = isDue && makesPasses(recorder) ? try preview(state) : nil
            try recorder?.record(made, state, validation: validation, preview: preview)
            bar.update(done: made.number, loss: state.progress.loss)
            if made.number % run.backupEvery == 0 {
                if let recorder { try recorder.backUp(state) } else { try state.takePart(withOptimizer: false) }
            }
            if isDue {
                // Weights that have just given no finite loss may be the reason why: those before them stay the last.
                if made.isGood || isLast && !isLost(state.progress) {
                    attempted = made.number
                    try check(state)
                    try save(&state, recorder)
                }
                if let recorder { try recorder.report("Under way", recorder.outcome(state.progress, loader)) }
            }
            let hasReleased = state.task.endUpdate()
            if isDue || isMeasured || hasReleased { Engine.releaseMemory() }
        }
        if attempted != state.progress.updates, !isLost(state.progress) { try save(&state, recorder) }
        bar.finish()
        if let failure = loader.failure, try !isInterrupted() { throw endOfData(failure, state.progress) }
    }

    /// Why a run ended that can read its data no more, and how it goes on.
    private func endOfData(_ failure: Failure, _ progress: TrainingProgress) -> Failure {
        guard failure.mayPass else { return failure }
        var failure = failure
        failure.advice =
            "the network was waited for as long as network_patience_minutes says; "
            + (progress.saved > 0 ? "update \(progress.saved) is saved, and the" : "no update is saved; the")
            + " same command goes on once it answers"
        return failure
    }

    /// Holds what is trained against what other processes have of it, where each has all.
    private func check(_ state: TrainingState) throws {
        if state.task.sharing == nil { try shared?.check(state.trained) }
    }

    /// Saves, unless there is nothing good to save: an update may have made weights of the network infinite, and only the
    /// next one's loss would show it.
    private func save(_ state: inout TrainingState, _ recorder: RunRecorder?) throws {
        try recorder?.sync()
        if let name = try state.notFinite(shared) {
            console.warn("update \(state.progress.updates) is not saved: `\(name)` has values that are not finite")
            return
        }
        if let recorder { try recorder.save(state) } else { try state.takePart(withOptimizer: true) }
        state.progress.saved = state.progress.updates
        state.progress.bad.returns = 0
    }

    /// Takes up the last checkpoint after an update that has spoilt the weights, and passes the samples since then.
    private func goBack(_ state: inout TrainingState, in folder: RunFolder) throws {
        let later = state.progress
        guard let checkpoint = try folder.last(warn: console.warn) else {
            throw Failure.run("there is no checkpoint to go back to", at: Failure.Place(folder.path))
        }
        try state.restore(checkpoint, in: folder, log: console.log)
        state.progress.count(lost: later)
        console.warn("the weights are those of update \(checkpoint.updates) again; the samples since then are passed")
    }

    /// Whether this process makes the passes of which the writer alone has use: it does, or is needed for them.
    private func makesPasses(_ recorder: RunRecorder?) -> Bool { recorder != nil || shared?.passTogether == true }

    private func preview(_ state: TrainingState) throws -> PreviewGrid? {
        try state.task.evaluation.preview(state.average)
    }

    /// What training did to the validation loss; nil where none was measured.
    private func judged(_ state: TrainingState) throws -> ValidationReport? {
        let evaluation = state.task.evaluation
        guard let before = state.progress.validationBefore, let measure = evaluation.measure else { return nil }
        return ValidationReport(
            before: before, after: try state.progress.validationAfter ?? measure(),
            swapped: try evaluation.measureSwapped?())
    }

    /// Whether too many updates in a row had no finite loss.
    private func isLost(_ progress: TrainingProgress) -> Bool {
        max(progress.bad.inARow, progress.bad.returns) >= run.maxBadSteps
    }

    /// Why a run ended whose losses or weights are no numbers any more.
    private func lost(_ progress: TrainingProgress, _ folder: RunFolder) -> Failure {
        let row = max(progress.bad.inARow, progress.bad.returns)
        let standing = progress.saved > 0 ? "the checkpoint is of update \(progress.saved)" : "no checkpoint was saved"
        return .run(
            row >= run.maxBadSteps
                ? "\(row) updates in a row had no finite loss" : "the trained weights are not finite any more",
            at: Failure.Place(folder.path), got: "update \(progress.updates) was the last",
            advice: "try a lower lr, or look at the samples named above; \(standing)")
    }
}

extension Update.Result {
    /// What is said of an update that is not good.
    fileprivate var complaint: String {
        "update \(number) \(isSpoilt ? "came to a gradient that is not finite" : "changes nothing"): loss \(loss), "
            + "gradient norm \(gradientNorm.magnitude), samples " + samples.joined(separator: ", ")
    }
}
