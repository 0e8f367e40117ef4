import Failures
import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Training
import Weights

extension TrainingRuns {
    /// Checkpoints that were torn, damaged, or belong to another run.
    @Suite struct Checkpoints {
        /// The three updates in one go.
        private static let whole = Result { () throws -> Run in
            let run = try Run(.lora)
            try run(["updates": "3"])
            return run
        }

        /// A run with checkpoints of updates 1 and 2.
        private func run() throws -> Run {
            let run = try Run(.lora)
            try run(["updates": "2", "save_every": "1"])
            for path in [run.weights, run.optimizer, run.info] {
                #expect(FileManager.default.fileExists(atPath: path))
                #expect(FileManager.default.fileExists(atPath: path + ".bak"))
            }
            return run
        }

        private func cut(_ path: String) throws {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.truncate(atOffset: file.seekToEnd() / 2)
            try file.close()
        }

        @Test(arguments: ["weights", "optimizer", "info"])
        func `of a damaged checkpoint the one before is taken, with a warning`(part: String) throws {
            let (run, whole) = (try run(), try Self.whole.get())
            let path = ["weights": run.weights, "optimizer": run.optimizer, "info": run.info][part] ?? ""
            try cut(path)
            try run(["updates": "3"])
            #expect(run.lines.contains { $0.hasPrefix("warning: passed over: \(path):") }, "\(run.lines)")
            #expect(run.lines.contains("resumed at update 1"))
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            #expect(try run.metrics() == whole.metrics())
        }

        @Test(arguments: 0..<6)
        func `a run killed between two renames goes on`(step: Int) throws {
            let (run, manager) = (try run(), FileManager.default)
            // The state after so many of the six renames of saving update 2: undo the later ones.
            let paths = [run.weights, run.optimizer, run.info]
            for (index, path) in paths.enumerated().reversed() {
                if step < 2 * index + 2 { try manager.moveItem(atPath: path, toPath: path + ".new") }
                if step < 2 * index + 1 { try manager.moveItem(atPath: path + ".bak", toPath: path) }
            }
            try run(["updates": "3"])
            #expect(run.lines.contains("resumed at update 2"))
            let whole = try Self.whole.get()
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
        }

        @Test func `where all is damaged the folder is named`() throws {
            let run = try run()
            for path in [run.weights, run.optimizer] {
                try cut(path)
                try cut(path + ".bak")
            }
            let before = try run.bytes(run.weights)
            let failure = try run.failure(["updates": "3"])
            #expect(failure.blame == .input && failure.place?.file == run.checkpoints)
            #expect(failure.what.contains("damaged") && failure.advice?.contains("experiment_id") == true)
            #expect(try run.bytes(run.weights) == before)
        }

        @Test func `info without the other files is no checkpoint`() throws {
            let run = try run()
            for path in [run.weights, run.optimizer] {
                for ending in ["", ".bak"] { try FileManager.default.removeItem(atPath: path + ending) }
            }
            #expect(try run.failure(["updates": "3"]).place?.file == run.checkpoints)
        }

        @Test(arguments: [
            "{}", "[]", "null", #"{"updates":2}"#, #"{"updates":2,"data":{"position":[0,1],"waiting":[]}}"#,
            #"{"updates":2,"data":{"stream":{"epoch":-1},"waiting":[]}}"#,
            """
            {"updates":2,"data":{"stream":{"origin":null,"epoch":9223372036854775807,"shard":0,"sample":0,
            "generator":[],"buffer":[]},"waiting":[]}}
            """,
            """
            {"updates":2,"data":{"stream":{"origin":null,"epoch":0,"shard":0,"sample":281474976710655,
            "generator":[],"buffer":[5,0]},"waiting":[0,0,281474976710655]}}
            """,
        ])
        func `info that says nothing of use is refused`(text: String) throws {
            let run = try run()
            for ending in ["", ".bak"] { try Data(text.utf8).write(to: URL(fileURLWithPath: run.info + ending)) }
            let failure = try run.failure(["updates": "3"])
            #expect(failure.blame == .input, "\(failure)")
        }

        @Test(arguments: [["rank": "3"], ["module_filters": "[channelwise]"], ["train_tokens": ""]])
        func `a checkpoint of another configuration is refused`(changes: [String: String]) throws {
            let run = try run()
            let before = try run.bytes(run.weights)
            let failure = try run.failure(changes.merging(["updates": "3"]) { $1 })
            #expect(failure.blame == .input && failure.what.contains("another configuration"), "\(failure)")
            #expect(failure.place?.file == run.optimizer && failure.got != nil)
            #expect(try run.bytes(run.weights) == before)
        }

        @Test(arguments: ["shuffle_buffer", "webdataset_path"])
        func `a run over other data, or in another order, is refused`(key: String) throws {
            let run = try run()
            let other = try run.scratch.write("", to: "other.tar")
            let failure = try run.failure([key: key == "shuffle_buffer" ? "4" : other, "updates": "3"])
            #expect(failure.blame == .input && failure.what.contains("not what it was"), "\(failure)")
            #expect(failure.advice?.contains("experiment_id") == true)
        }

        @Test func `a run under the same name with another seed keeps to its checkpoint`() throws {
            let run = try run()
            var options = RunOptions()
            options.seed = 9
            let outcome = try #require(try run(["updates": "3"], options: options))
            #expect(outcome.isComplete && outcome.updates == 3)
            #expect(run.lines.contains { $0.hasPrefix("warning: ") && $0.contains("order of seed 1") }, "\(run.lines)")
        }
    }
}
