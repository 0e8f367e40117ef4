import Failures
import Loading
import Telemetry

/// The only part of a run that writes: metrics and logs, previews, checkpoints and backups, `report.html`, the
/// validation report. Of several processes that train together one holds it.
///
/// An update is logged before it is saved, so that a run killed at any moment goes on with logs that lack nothing.
struct RunRecorder {
    private let run: RunConfiguration
    private let seed: UInt64
    private let checkpoints: RunFolder
    private let output: OutputFolder
    private let log: TrainingLog
    private let times: ProcessTimes?

    /// Opens the logs, which go on after the updates that are done.
    init(
        _ loop: TrainLoop, checkpoints: RunFolder, output: OutputFolder, _ progress: TrainingProgress
    ) throws {
        run = loop.run
        seed = loop.seed
        self.checkpoints = checkpoints
        self.output = output
        times = loop.shared?.times
        log = try TrainingLog(
            loop, output, resumeAfter: progress.updates,
            before: progress.validationSince == 0 ? progress.validationBefore : nil)
    }

    /// Logs an update, and writes its preview.
    func record(
        _ update: Update.Result, _ state: TrainingState, validation: ValidationSet.Measurement?, preview: PreviewGrid?
    ) throws {
        let metrics = UpdateMetrics(
            step: update.number, loss: state.progress.loss ?? update.loss, rawLoss: update.loss,
            gradNorm: update.gradientNorm, lr: update.rate, seconds: update.seconds,
            samplesPerSecond: Double(run.batchSize) / update.seconds, dataSeconds: update.secondsWaited)
        try log.append(
            metrics, ownRates: state.task.ownRates.map { ($0.name, $0.factor * update.rate) },
            bad: update.isGood ? nil : (state.progress.bad.total, update.samples), validation: validation,
            preview: preview)
    }

    /// Writes a numbered copy of what is trained, and of its running mean.
    func backUp(_ state: TrainingState) throws {
        for part in state.weightParts { try checkpoints.backUp(updates: state.progress.updates, part) }
    }

    /// Brings to the disk what was logged: what a checkpoint has done is then in the logs.
    func sync() throws { try log.sync() }

    /// Writes a checkpoint.
    func save(_ state: TrainingState) throws {
        var info = state.progress.json(state.task.learners.map(\.running.means))
        info["experiment_id"] = .string(run.experimentID)
        info["seed"] = .integer(Int(truncatingIfNeeded: seed))
        info[RunFolder.inputsKey] = state.task.inputs.json
        info[RunFolder.writtenKey] = ConfigurationChanges.recorded(run.written.json)
        info[RunFolder.effectiveKey] = run.effective.map(ConfigurationChanges.recorded)
        do {
            try checkpoints.save(
                updates: state.progress.updates, info: info, state.weightParts + [state.optimizerPart])
        } catch var failure as Failure {
            let standing =
                state.progress.saved > 0
                ? "the checkpoint of update \(state.progress.saved) is as it was" : "no checkpoint was saved"
            failure.advice = failure.advice.map { "\($0); \(standing)" } ?? standing
            throw failure
        }
    }

    /// Writes `report.html`.
    /// - Parameter words: how far the run is, in a few words.
    func report(_ words: String, _ outcome: RunOutcome) throws { try log.report(words, outcome) }

    /// Writes what training did to the validation loss.
    func write(_ report: ValidationReport) throws { try output.write(report) }

    /// Ends the logs.
    /// - Returns: what uploads the run to W&B, where it is logged for it.
    func finish(isComplete: Bool) throws -> String? { try log.finish(isComplete: isComplete) }

    /// How the run stands.
    func outcome(_ progress: TrainingProgress, _ loader: BatchLoader) -> RunOutcome {
        RunOutcome(progress, checkpoint: checkpoints.weightsPath, output: output.path, loader, times)
    }
}
