import Files
import Foundation
import JSON
import Telemetry
import Testing

/// W&B's offline folder, read by the reader of this folder; `make logs` reads it with W&B's own.
@Suite struct WandbFolder {
    /// Items of a history or a summary by their keys, joined with dots.
    private func items(_ message: Message) throws -> [String: String] {
        try Dictionary(
            uniqueKeysWithValues: message.messages(1).map {
                ($0.texts(2).joined(separator: "."), $0.texts(16)[0])
            })
    }

    private func histories(_ records: [Message]) throws -> [[String: String]] {
        try records.flatMap { try $0.messages(2) }.map { history in
            let items = try items(history)
            #expect(try history.message(2).integer(1).map(String.init) == items["_step"])
            return items
        }
    }

    @Test func `names that W&B refuses are none`() {
        for name in ["p", "my project", "caf\u{E9}_1-2.x", String(repeating: "n", count: 128)] {
            #expect(WandbProject.takes(name), "\(name)")
        }
        for name in ["", "a/b", "a\\b", "#", "what?", "50%", "a:b", String(repeating: "n", count: 129)] {
            #expect(!WandbProject.takes(name), "\(name)")
        }
    }

    @Test func `header, run, history, summary and exit, in this order`() throws {
        let folder = try LogFolder()
        try folder.log(1...4, resumeAfter: 0)
        let records = try folder.records()
        #expect(records.map { $0.integer(1) } == records.indices.map { $0 + 1 })
        #expect(try records[0].message(21).message(1).texts(1) == ["test 1"])
        let run = try records[1].message(17)
        #expect(try folder.wandbRun().hasSuffix("-\(run.texts(1)[0])"))
        #expect(run.texts(2) == ["us"] && run.texts(3) == ["cascade"] && run.texts(8) == ["run"])
        let configuration = try run.message(4).messages(1).map { $0.texts(1) + $0.texts(16) }
        #expect(configuration == [["lr", "0.5"], ["ratios", "[\"1/1\"]"]])
        #expect(try (1_700_000_000...1_700_000_009).contains(run.message(17).integer(1) ?? 0))

        let histories = try histories(records)
        #expect(histories.map { $0["_step"] } == ["0", "1", "2", "3", "4"])
        #expect(histories.map { $0["raw_loss"] } == [nil, "0.25", "0.5", "NaN", "1.0"])
        #expect(histories.map { $0["validation_loss"] } == ["0.75", nil, "0.25", nil, "0.125"])
        let times = histories.compactMap { $0["_timestamp"].flatMap(Double.init) }
        let runtimes = histories.compactMap { $0["_runtime"].flatMap(Double.init) }
        #expect(times == times.sorted() && runtimes == times.map { $0 - times[0] + runtimes[0] })
        let summary = try items(records[records.count - 2].message(3))
        #expect(summary["_step"] == "4" && summary["loss"] == "0.25" && summary["_wandb.runtime"] != nil)
        #expect(try records[records.count - 1].message(18).integer(1) == 0)
    }

    @Test func `an image lies in the folder of media under the name its history gives`() throws {
        let folder = try LogFolder()
        try folder.log(1...4, resumeAfter: 0)
        let records = try folder.records()
        let run = try folder.wandbRun()
        let files = try records.flatMap { try $0.messages(6) }.flatMap { try $0.messages(1) }.flatMap { $0.texts(1) }
        #expect(try folder.names("\(run)/files/media/images").map { "media/images/\($0)" } == files.sorted())
        for (index, history) in try histories(records).filter({ $0["preview"] != nil }).enumerated() {
            let image = try JSON.parse(try #require(history["preview"]), file: "history")
            let path = try #require(image["path"]?.stringValue)
            let bytes = try readFile(folder.scratch["\(run)/files/\(path)"])
            #expect(path == files[index] && bytes == LogFolder.entry(2 * index + 2).images[0].jpeg)
            #expect(image["_type"]?.stringValue == "image-file" && image["format"]?.stringValue == "jpg")
            #expect(image["sha256"]?.stringValue == SHA256.hex(of: bytes))
            #expect(image["size"]?.intValue == 4000)
            #expect(image["width"]?.intValue == 12 && image["height"]?.intValue == 8)
        }
    }

    @Test func `a run that goes on is the same run of W&B's, each step once`() throws {
        let folder = try LogFolder()
        try folder.log(1...4, resumeAfter: 0)
        let run = try folder.wandbRun()
        let id = try #require(run.split(separator: "-").last)
        let synced = try folder.scratch.write("", to: "\(run)/run-\(id).wandb.synced")
        try folder.log(4...6, resumeAfter: 3)
        #expect(try folder.wandbRun() == run)
        #expect(!FileManager.default.fileExists(atPath: synced))
        let records = try folder.records()
        #expect(try histories(records).map { $0["_step"] } == ["0", "1", "2", "3", "4", "5", "6"])
        #expect(records.map { $0.integer(1) } == records.indices.map { $0 + 1 })
        #expect(records.filter { !$0[18].isEmpty }.count == 1)
        let runtimes = try histories(records).compactMap { $0["_runtime"].flatMap(Double.init) }
        #expect(runtimes == runtimes.sorted())
        let media = try folder.names("\(run)/files/media/images").map { $0.split(separator: "_")[1] }
        #expect(media == ["2", "4", "6"])

        // From the start again: nothing of before is left but the name.
        try folder.log(1...1, resumeAfter: 0)
        #expect(try histories(folder.records()).map { $0["_step"] } == ["0", "1"])
        #expect(try folder.names("\(run)/files/media/images").isEmpty)
    }

    @Test func `records of any length lie in blocks, and a torn end is cut`() throws {
        let folder = try LogFolder()
        let log = try RunLog(folder.setup())
        for step in 1...300 {
            var entry = LogEntry(
                UpdateMetrics(
                    step: step, loss: 1, rawLoss: 1, gradNorm: 1, lr: 1, seconds: 1, samplesPerSecond: 1,
                    dataSeconds: 1))
            // Every length, so that blocks end in every way.
            entry.measured = [(String(repeating: "x", count: 1 + step % 97), 1)]
            if step == 150 { entry.measured = [(String(repeating: "x", count: 70_000), 1)] }
            try log.append(entry)
        }
        #expect(try histories(folder.records()).count == 301)
        let run = try folder.wandbRun()
        let path = folder.scratch["\(run)/run-\(try #require(run.split(separator: "-").last)).wandb"]
        let whole = try readFile(path)
        try writeAtomically(Array(whole.dropLast(3)), to: path)
        try folder.log(301...302, resumeAfter: 300)
        let steps = try histories(folder.records()).compactMap { $0["_step"].flatMap(Int.init) }
        #expect(steps == Array(0...299) + [301, 302])
    }

    @Test func `no folder is made for a run without a project`() throws {
        let folder = try LogFolder()
        let log = try RunLog(folder.setup(wandb: false))
        #expect(log.uploadCommand == nil)
        #expect(try folder.names("") == ["metrics.jsonl", "tensorboard"])
        let other = try LogFolder()
        #expect(try RunLog(other.setup()).uploadCommand == "wandb sync \(other.scratch[other.wandbRun()])")
    }
}
