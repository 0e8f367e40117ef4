import Failures
import Foundation
import JSON
import TestSupport
import Testing
import Training

extension TrainingRuns {
    /// Runs that go on with something else under the same names.
    @Suite struct ChangedInputs {
        /// Changes the last number of a file, and nothing of its size.
        private func damage(_ path: String) throws {
            let file = try #require(FileHandle(forUpdatingAtPath: path))
            let end = try file.seekToEnd()
            try file.seek(toOffset: end - 2)
            let last = try file.readToEnd() ?? Data()
            try file.seek(toOffset: end - 2)
            try file.write(contentsOf: Data(last.map { $0 ^ 0x11 }))
            try file.close()
        }

        private func expectRefusal(_ failure: Failure, of words: String, _ run: Run) throws {
            #expect(failure.blame == .input && "\(failure)".contains(words), "\(failure)")
            #expect(failure.advice?.contains("experiment_id") == true && failure.advice?.contains("delete") == false)
            #expect(try JSON.read(run.info)["updates"]?.intValue == 1)
        }

        @Test(arguments: [
            ("train_tokens", "[['[spot]', '^dog</w>']]", "tokens"), ("train_tokens", "[['[rex]', '^do']]", "tokens"),
            ("lora_alpha", "4", "alpha"),
        ])
        func `another token, another start of it and another scale are refused`(
            key: String, value: String, description: String
        ) throws {
            let run = try Run(.lora)
            try run(["updates": "1"])
            try expectRefusal(run.failure([key: value]), of: "its `\(description)` differs", run)
            try run(["updates": "2", "lora_lr": "0.001"])
        }

        @Test func `a ControlNet's blocks in another order are refused`() throws {
            let run = try Run(.controlnet)
            try run(["updates": "1"])
            try expectRefusal(
                run.failure(["controlnet_blocks": "[2, 0, 5]"]), of: "its `controlnet_blocks` differs", run)
        }

        @Test(arguments: ["effnet_checkpoint_path", "generator_checkpoint_path", "clip_text_model_name"])
        func `other weights under the same name are refused, under another they are said`(key: String) throws {
            let (world, run) = (try TinyWorld.shared(), try Run(.lora))
            let sources = [
                "effnet_checkpoint_path": world.effnet, "generator_checkpoint_path": world.base,
                "clip_text_model_name": world.text,
            ]
            let (path, other) = (run.scratch["weights"], run.scratch["others"])
            try FileManager.default.copyItem(atPath: sources[key] ?? "", toPath: path)
            try run([key: path, "updates": "1"])
            try run([key: path, "updates": "1"])
            #expect(!run.lines.contains { $0.contains("other weights") })
            try FileManager.default.copyItem(atPath: path, toPath: other)
            try damage(key == "clip_text_model_name" ? "\(path)/model.safetensors" : path)
            try damage(key == "clip_text_model_name" ? "\(other)/model.safetensors" : other)
            try expectRefusal(run.failure([key: path]), of: "other weights lie at `\(key)`", run)
            try run([key: other, "updates": "2"])
            #expect(run.lines.contains { $0.hasSuffix("`\(key)` names other weights than when the run was saved") })
        }

        @Test func `where a stage that is trained whole began is of no account later`() throws {
            let run = try Run(.finetune)
            let path = run.scratch["start"]
            try FileManager.default.copyItem(atPath: TinyWorld.shared().base, toPath: path)
            try run(["generator_checkpoint_path": path, "updates": "1"])
            try damage(path)
            try run(["generator_checkpoint_path": path, "updates": "2"])
            #expect(try JSON.read(run.info)["updates"]?.intValue == 2)
        }

        @Test func `other data behind the same names is said, and a validation loss begins anew`() throws {
            let run = try Run(.lora)
            let (data, heldOut) = (run.scratch["d.tar"], run.scratch["h.tar"])
            let keys = [
                "webdataset_path": data, "validation_path": heldOut, "validation_triples": "2", "updates": "1",
            ]
            try TinyWorld.pack(TinyWorld.images(8, seed: 0), to: data)
            try TinyWorld.pack(TinyWorld.images(2, seed: 50), to: heldOut)
            try run(keys)
            try run(keys.merging(["updates": "2"]) { $1 })
            #expect(!run.lines.contains { $0.contains("hold something else") })
            try TinyWorld.pack(TinyWorld.images(8, seed: 20), to: data)
            try run(keys.merging(["updates": "3"]) { $1 })
            #expect(run.lines.contains { $0.contains("1 of 1 shards hold something else") && $0.contains(data) })
            #expect(!run.lines.contains { $0.contains("measured on other data") })
            try TinyWorld.pack(TinyWorld.images(2, seed: 70), to: heldOut)
            try run(keys.merging(["updates": "4"]) { $1 })
            #expect(run.lines.contains { $0.contains("measured on other data") })
        }

        @Test func `the folder of another recipe's run is named as one`() throws {
            let run = try Run(.lora)
            try run(["updates": "1"])
            let other = try Run(.controlnet, in: run.scratch)
            let failure = try other.failure(["updates": "2"])
            try expectRefusal(failure, of: "holds a run of another recipe", run)
            #expect(failure.got == "one of lora" && failure.place?.file == run.checkpoints)
        }

        @Test(arguments: [Recipe.lora, .stageB])
        func `encodings that are kept and those that are made anew are the same`(recipe: Recipe) throws {
            let (kept, made) = (try Run(recipe), try Run(recipe))
            try kept(["updates": "4", "cache_in_memory": "true"])
            try made(["updates": "4", "cache_in_memory": "false"])
            #expect(try kept.metrics() == made.metrics())
        }
    }
}
