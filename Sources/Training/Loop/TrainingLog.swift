import Foundation
import Images
import Loading
import Telemetry
import Torch

/// What a train loop tells of itself, brought into the form the logs take.
struct TrainingLog {
    private let log: RunLog
    private let run: RunConfiguration
    private let output: OutputFolder
    private let seed: UInt64
    private let device: Device
    /// Seconds since 1970.
    private let date: () -> Double

    /// The name of the loss over the validation triples.
    static let validationLoss = "validation_loss"
    /// Longest side of a preview in `report.html`, in pixels.
    private static let previewSide = 800

    /// - Parameter before: the validation loss before the first update.
    init(_ loop: TrainLoop, _ output: OutputFolder, resumeAfter step: Int, before: ValidationSet.Measurement?) throws {
        run = loop.run
        self.output = output
        seed = loop.seed
        device = loop.options.device
        date = loop.options.clock.date
        var setup = RunLog.Setup(
            folder: output.path, title: run.experimentID, resumeAfter: step,
            now: date, shrink: Self.small)
        setup.measuredBefore = before.map { [(Self.validationLoss, $0.mean)] } ?? []
        setup.configurationText = run.written.yaml
        setup.wandb = run.wandbProject.map { [run] in
            WandbProject(
                name: $0, entity: run.wandbEntity, title: run.experimentID, configuration: run.written.json,
                producer: "cascade-adapt \(programVersion)")
        }
        log = try RunLog(setup)
    }

    /// Logs an update, and writes its preview.
    /// - Parameters:
    ///   - ownRates: learning rates beside that of `metrics`, by name.
    ///   - bad: of one that changed nothing, how many there have been, and its samples; nil of one that did.
    func append(
        _ metrics: UpdateMetrics, ownRates: [(name: String, value: Double)], bad: (total: Int, samples: [String])?,
        validation: ValidationSet.Measurement?,
        preview: PreviewGrid?
    ) throws {
        var entry = LogEntry(metrics)
        entry.measured += ownRates
        if let bad {
            entry.measured.append(("bad_steps", Double(bad.total)))
            entry.samples = bad.samples
        }
        if let validation { entry.measured.append((Self.validationLoss, validation.mean)) }
        if let image = try preview?.logged() {
            try output.write(preview: image, update: metrics.step)
            entry.images.append(image)
        }
        try log.append(entry)
    }

    /// Brings what was logged to the disk, before the checkpoint that is of the same update.
    func sync() throws { try log.sync() }

    /// Writes `report.html`.
    /// - Parameter state: how far the run is, in a few words.
    func report(_ state: String, _ outcome: RunOutcome) throws {
        let drops = (Array(outcome.drops.samples) + Array(outcome.drops.broken)).sorted {
            ($1.value, $0.key) < ($0.value, $1.key)
        }
        var data = [("samples trained on, repeated ones too", "\(outcome.updates * run.batchSize)")]
        data += rows(of: outcome.loaded)
        data += drops.map { ("left out since the last start: \($0.key)", "\($0.value)") }
        if drops.isEmpty { data.append(("left out since the last start", "nothing")) }
        if let encoded = outcome.encoded {
            data.append(("encoded since the last start", "\(encoded.images) images, \(encoded.captions) captions"))
        }
        var sections = [
            ReportSection(
                "Run",
                [
                    ("updates", "\(outcome.updates) of \(run.updates)"), ("samples an update", "\(run.batchSize)"),
                    ("checkpoint", outcome.checkpoint), ("seed", "\(seed)"), ("device", "\(device)"),
                    ("written", Date(timeIntervalSince1970: date()).formatted(.iso8601)),
                ]),
            ReportSection("Data", data),
        ]
        if let validation = outcome.validation { sections.append(ReportSection("Validation loss", validation.rows)) }
        sections.append(
            ReportSection(
                "Versions",
                [("cascade-adapt", programVersion), ("libtorch", try Engine.shared().version)]))
        try log.writeReport(state: "\(state): update \(outcome.updates) of \(run.updates).", sections)
    }

    /// What was counted of the data and how much of it there was; nothing where no sample was handed out.
    private func rows(of loaded: LoadedData) -> [(String, String)] {
        guard loaded.samples > 0 else { return [] }
        let sizes = loaded.buckets.sorted { ($1.value, $0.key.width) < ($0.value, $1.key.width) }
            .map { "\($0.key.width) x \($0.key.height): \($0.value)" }
        let since = "since the last start"
        return [
            ("epoch of the data", "\(loaded.epoch + 1)"),
            ("images by size \(since)", sizes.joined(separator: ", ")),
            ("images enlarged \(since)", "\(loaded.enlarged) of \(loaded.samples)"),
            ("empty captions \(since)", "\(loaded.emptyCaptions) of \(loaded.samples)"),
            ("captions cut \(since)", "\(loaded.longCaptions) of \(loaded.samples)"),
            ("mean length of a caption", "\(loaded.characters / loaded.samples) characters"),
        ]
    }

    /// Ends the logs.
    /// - Returns: what uploads the run to W&B, where it is logged for it.
    func finish(isComplete: Bool) throws -> String? {
        try log.finish(status: isComplete ? 0 : 130)
        return log.uploadCommand
    }

    /// A preview's file, small enough for a page with many.
    private static func small(_ jpeg: [UInt8]) throws -> LoggedImage {
        let image = try Image(decoding: jpeg, name: "preview")
        let scale = min(1, Double(previewSide) / Double(max(image.width, image.height)))
        let width = max(1, Int((Double(image.width) * scale).rounded()))
        let height = max(1, Int((Double(image.height) * scale).rounded()))
        let small = image.resized(width: width, height: height)
        return LoggedImage(name: "preview", jpeg: try small.jpeg(quality: 80), width: width, height: height)
    }
}

extension PreviewGrid {
    /// The grid as a file.
    func logged() throws -> LoggedImage {
        let image = try image()
        return LoggedImage(
            name: "preview", jpeg: try image.jpeg(), width: image.width, height: image.height)
    }
}
