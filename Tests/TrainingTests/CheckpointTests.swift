import Failures
import Files
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
            "{}", "[]", "null", #"{"updates":2}"#, #"{"updates":2,"files":{}}"#, #"{"updates":2,"files":{"lora":1}}"#,
            #"{"updates":2,"files":{"lora.safetensors":""}}"#, #"{"updates":-1,"files":FILES}"#,
            #"{"updates":2,"files":FILES,"data":{"position":[0,1],"waiting":[]}}"#,
            #"{"updates":2,"files":FILES,"data":{"stream":{"epoch":-1},"waiting":[]}}"#,
            """
            {"updates":2,"files":FILES,"data":{"stream":{"origin":null,"epoch":9223372036854775807,"shard":0,"sample":0,
            "generator":[],"buffer":[]},"waiting":[]}}
            """,
            """
            {"updates":2,"files":FILES,"data":{"stream":{"origin":null,"epoch":0,"shard":0,"sample":281474976710655,
            "generator":[],"buffer":[5,0]},"waiting":[0,0,281474976710655]}}
            """,
        ])
        func `info that says nothing of use is refused`(text: String) throws {
            let run = try run()
            let files = try #require(try JSON.read(run.info, maximumBytes: 1 << 20)["files"])
            let text = text.replacing("FILES", with: files.text())
            for ending in ["", ".bak"] { try Data(text.utf8).write(to: URL(fileURLWithPath: run.info + ending)) }
            let failure = try run.failure(["updates": "3"])
            #expect(failure.blame == .input, "\(failure)")
        }

        @Test func `a file that was changed is passed over, though it can be read`() throws {
            let (run, whole) = (try run(), try Self.whole.get())
            var bytes = try run.bytes(run.weights)
            bytes[bytes.count - 1] ^= 1
            try bytes.write(to: URL(fileURLWithPath: run.weights))
            try run(["updates": "3"])
            #expect(run.lines.contains("warning: passed over: \(run.weights): it is not as update 2 saved it"))
            #expect(run.lines.contains("resumed at update 1"))
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            // What was passed over is put aside and not among the checkpoints.
            #expect(try run.bytes(run.weights + ".damaged") == bytes)
            #expect(try updates(of: run) == ["": 3, ".bak": 1])
        }

        @Test func `as many checkpoints are kept as keep_last says, and the last whole one counts`() throws {
            let (run, whole) = (try Run(.lora), try Self.whole.get())
            try run(["updates": "5", "save_every": "1", "backup_every": "2", "keep_last": "3"])
            #expect(try updates(of: run) == ["": 5, ".bak": 4, ".bak2": 3, ".bak3": 2])
            for ending in ["", ".bak", ".bak2"] { try cut(run.optimizer + ending) }
            try run(["updates": "3", "save_every": "1", "keep_last": "3"])
            #expect(run.lines.filter { $0.hasPrefix("warning: passed over: \(run.optimizer)") }.count == 3)
            #expect(run.lines.contains("resumed at update 2"))
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            #expect(try updates(of: run) == ["": 3, ".bak": 2])
            // Fewer are kept from then on; the numbered ones always are.
            try run(["updates": "4", "save_every": "1", "keep_last": "0"])
            #expect(try updates(of: run) == ["": 4])
            for number in [2, 4] {
                #expect(FileManager.default.fileExists(atPath: "\(run.checkpoints)/lora_\(number).safetensors"))
            }
        }

        /// Of which updates the checkpoints in the folder are, by the endings of their files.
        private func updates(of run: Run) throws -> [String: Int] {
            var found: [String: Int] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: run.checkpoints) {
                for file in [run.weights, run.optimizer, run.info].map({ URL(fileURLWithPath: $0).lastPathComponent })
                where name.hasPrefix(file) && !name.hasSuffix(".damaged") {
                    let ending = String(name.dropFirst(file.count))
                    let path = "\(run.checkpoints)/\(name)"
                    let updates =
                        file == "info.json"
                        ? try JSON.read(path, maximumBytes: 1 << 20)["updates"]?.intValue
                        : try SafetensorsFile(path).metadata["trained_steps"].flatMap(Int.init)
                    let number = try #require(updates)
                    #expect(found[ending] ?? number == number, "\(name)")
                    found[ending] = number
                }
            }
            return found
        }

        @Test func `a run killed in its first save begins anew, and leaves nothing of it`() throws {
            let (run, whole) = (try Run(.lora), try Self.whole.get())
            try FileManager.default.createDirectory(atPath: run.checkpoints, withIntermediateDirectories: true)
            for name in ["lora.safetensors.new", "lora_optim.safetensors.new.77-3.tmp"] {
                try Data("half".utf8).write(to: URL(fileURLWithPath: "\(run.checkpoints)/\(name)"))
            }
            try run(["updates": "1"])
            try run(["updates": "3"])
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            let names = try FileManager.default.contentsOfDirectory(atPath: run.checkpoints)
            #expect(!names.contains { $0.hasSuffix(".tmp") || $0.hasSuffix(".new") }, "\(names)")
        }

        @Test func `two processes do not train one run`() throws {
            let run = try run()
            let other = try FolderLock(run.checkpoints)
            let failure = try run.failure(["updates": "3"])
            #expect(failure.blame == .run && failure.place?.file == run.checkpoints && failure.what.contains("in use"))
            withExtendedLifetime(other) {}
        }

        @Test func `a disk that fills while a checkpoint is saved leaves the one before`() async {
            await #expect(processExitsWith: .success) {
                let (run, whole) = (try Run(.controlnet), try Run(.controlnet))
                let changes = ["preview_steps": "0", "save_every": "2"]
                func trained(_ run: Run, _ updates: Int) throws -> RunOutcome? {
                    try run(changes.merging(["updates": String(updates)]) { $1 })
                }
                #expect(try trained(whole, 4)?.isComplete == true)
                _ = try trained(run, 2)
                let names = try FileManager.default.contentsOfDirectory(atPath: run.checkpoints).sorted()
                // Room for the logs, and for what is trained, and not for twice as much: the optimizer's state.
                let size = UInt(try run.bytes(run.weights).count)
                try limitFileSize(to: size + 1000)
                let failure = try #require(throws: Failure.self) { try trained(run, 4) }
                #expect(failure.blame == .run && failure.place?.file == run.optimizer + ".new", "\(failure)")
                #expect(failure.advice?.contains("the checkpoint of update 2 is as it was") == true, "\(failure)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: run.checkpoints).sorted() == names)
                try limitFileSize(to: UInt(Int32.max))
                #expect(try trained(run, 4)?.isComplete == true)
                #expect(run.lines.filter { $0 == "resumed at update 2" }.count == 2)
                for (path, wholePath) in [(run.weights, whole.weights), (run.optimizer, whole.optimizer)] {
                    #expect(try run.bytes(path) == whole.bytes(wholePath))
                }
                #expect(try run.metrics() == whole.metrics())
            }
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
