import Files
import Foundation
import JSON
import Telemetry
import TestSupport
import Testing

/// A run's folder with its logs, as a train loop fills them.
final class LogFolder {
    let scratch: Scratch
    /// The clock: each look at it is half a second later.
    private var time = 1_700_000_000.25

    init() throws { scratch = try Scratch() }

    func setup(resumeAfter step: Int = 0, wandb: Bool = true) -> RunLog.Setup {
        var setup = RunLog.Setup(
            folder: scratch.path, title: "a <run> & \"more\"", resumeAfter: step,
            now: { [self] in
                time += 0.5
                return time
            },
            shrink: { LoggedImage(name: "preview", jpeg: $0.reversed(), width: 6, height: 4) })
        setup.measuredBefore = [("validation_loss", 0.75)]
        setup.configurationText = "caption: </script><b>\n"
        if wandb {
            setup.wandb = WandbProject(
                name: "cascade", entity: "us", title: "run", configuration: ["lr": 0.5, "ratios": ["1/1"]],
                producer: "test 1")
        }
        return setup
    }

    /// The entry of an update; every second one has an image and a validation loss.
    static func entry(_ step: Int) -> LogEntry {
        var entry = LogEntry(
            UpdateMetrics(
                step: step, loss: 1 / Double(step), rawLoss: step == 3 ? .nan : 0.25 * Double(step), gradNorm: 1.5,
                lr: 1e-4, seconds: 0.25, samplesPerSecond: 16, dataSeconds: 0.125))
        if step % 2 == 0 {
            entry.measured = [("validation_loss", 0.5 / Double(step))]
            entry.images = [
                LoggedImage(
                    name: "preview", jpeg: (0..<4000).map { UInt8(truncatingIfNeeded: $0 * step) }, width: 12,
                    height: 8)
            ]
        }
        return entry
    }

    /// Logs updates as a loop does, with the previews' files.
    func log(_ steps: ClosedRange<Int>, resumeAfter: Int, wandb: Bool = true, isFinished: Bool = true) throws {
        let log = try RunLog(setup(resumeAfter: resumeAfter, wandb: wandb))
        for step in steps {
            let entry = Self.entry(step)
            for image in entry.images { try writeAtomically(image.jpeg, to: scratch["00000\(step).jpg"]) }
            try log.append(entry)
        }
        guard isFinished else { return }
        try log.sync()
        try log.writeReport(state: "Done.", [ReportSection("Data", [("left out: <b>", "3 & more")])])
        try log.finish(status: 0)
    }

    /// All events of all files in the order of their names.
    func events() throws -> [[Message]] {
        try names("tensorboard").map { try TelemetryTests.events(readFile(scratch["tensorboard/\($0)"])) }
    }

    /// The folder of the one offline run.
    func wandbRun() throws -> String {
        let names = try names("wandb")
        #expect(names.count == 1)
        return "wandb/\(try #require(names.first))"
    }

    func records() throws -> [Message] {
        let run = try wandbRun()
        let id = try #require(run.split(separator: "-").last)
        return try TelemetryTests.records(readFile(scratch["\(run)/run-\(id).wandb"]))
    }

    func report() throws -> String { String(decoding: try readFile(scratch["report.html"]), as: UTF8.self) }

    func names(_ folder: String) throws -> [String] { try Folder.names(scratch[folder]) }
}
