import Failures
import JSON
import Testing
import Torch
import Weights

extension TrainingRuns {
    /// Runs that start from a file, by a configuration that says the same, more, or something else.
    @Suite struct StartedFromFiles {
        private func trained(_ recipe: Recipe, _ changes: [String: String] = [:]) throws -> Run {
            let run = try Run(recipe)
            try run(changes.merging(["updates": "1"]) { $1 })
            return run
        }

        /// A change that is refused, naming the key, the configured value, the file's value and the file.
        private func expectRefusal(
            _ recipe: Recipe, _ changes: [String: String], of key: String, got: String, file: String,
            from start: Run
        ) throws {
            let name = recipe == .lora ? "lora_checkpoint_path" : "controlnet_checkpoint_path"
            let failure = try Run(recipe).failure(changes.merging([name: start.weights]) { $1 })
            #expect(failure.blame == .input && failure.what.contains("`\(key)`"), "\(failure)")
            #expect(failure.place?.line != nil && failure.got?.contains(got) == true, "\(failure)")
            let expected = failure.expected ?? ""
            #expect(expected.contains(file) && expected.contains(start.weights), "\(failure)")
            #expect(failure.advice?.contains("start without the file") == true)
        }

        @Test func `a LoRA of another rank, scale or choice of modules, and other tokens, are refused`() throws {
            let start = try trained(.lora, ["lora_alpha": "2"])
            func refused(_ changes: [String: String], of key: String, got: String, file: String) throws {
                try expectRefusal(.lora, changes, of: key, got: got, file: file, from: start)
            }
            try refused(["rank": "3"], of: "rank", got: "3", file: "2, as")
            try refused(["lora_alpha": "4"], of: "lora_alpha", got: "4.0", file: "2.0, as")
            try refused(
                ["module_filters": "['down_blocks.0.2.attention']"], of: "module_filters", got: "none selects",
                file: "all modules")
            try refused(
                ["train_tokens": "[['[other]', '^dog</w>']]"], of: "train_tokens", got: "[other]", file: "[rex]")
            // Not scaled alike: the configuration says nothing, and modules are to be added.
            let more = ["module_filters": "['.attn', 'clf']", "lora_checkpoint_path": start.weights]
            #expect(try Run(.lora).failure(more).what.contains("`lora_alpha`"))
        }

        @Test func `what the file lacks is added and said, and what it has goes on`() throws {
            let start = try trained(.lora, ["train_tokens": ""])
            let run = try Run(.lora)
            try run([
                "lora_checkpoint_path": start.weights, "module_filters": "['.attn', 'clf']", "updates": "1",
                "lr": "1e-12",
                "train_tokens": "[['[rex]', '^dog</w>']]",
            ])
            #expect(run.lines.contains { $0.hasSuffix("the file lacks the module `clf.1`, which is added") })
            #expect(run.lines.contains { $0.hasSuffix("tokens: the file has none, they are begun anew") })
            let (before, after) = (try SafetensorsFile(start.weights), try SafetensorsFile(run.weights))
            for entry in before.entries {
                let was = try before.required(entry.name).values(as: Float.self)
                let now = try after.required(entry.name).values(as: Float.self)
                #expect(zip(was, now).allSatisfy { abs($0 - $1) < 1e-9 }, "\(entry.name)")
            }
            #expect(after["clf.1.lora_up.weight"] != nil && after.metadata["kind"] == "lora,tokens")

            // And a further token beside the one that is there.
            let third = try Run(.lora)
            let both = "[['[spot]', '^do'], ['[rex]', '^dog</w>']]"
            try third([
                "lora_checkpoint_path": run.weights, "module_filters": "['.attn', 'clf']", "updates": "1",
                "train_tokens": both,
            ])
            #expect(third.lines.contains { $0.hasSuffix("tokens: the file lacks [spot], which is added") })
            let tokens = try JSON.parse(SafetensorsFile(third.weights).metadata["tokens"] ?? "", file: "tokens")
            #expect(tokens.arrayValue?.map { $0["text"]?.stringValue } == ["[rex]", "[spot]"])
        }

        @Test func `what the configuration does not speak of is as in the file`() throws {
            let start = try trained(.lora, ["lora_alpha": "2"])
            let run = try Run(.lora)
            let keys = ["module_filters": "", "rank": "", "updates": "1", "train_tokens": ""]
            try run(keys.merging(["lora_checkpoint_path": start.weights]) { $1 })
            #expect(run.lines.count { $0.contains("does not speak of") } == 2)
            let (before, after) = (try SafetensorsFile(start.weights), try SafetensorsFile(run.weights))
            #expect(after.metadata["alpha"] == before.metadata["alpha"] && after.metadata["rank"] == "2")
            #expect(Set(after.entries.map(\.name)) == Set(before.entries.map(\.name)))
        }

        @Test func `another ControlNet than the configuration's is refused, other parameters are said`() throws {
            let start = try trained(.controlnet)
            func refused(_ changes: [String: String], of key: String, got: String, file: String) throws {
                try expectRefusal(.controlnet, changes, of: key, got: got, file: file, from: start)
            }
            try refused(["controlnet_blocks": "[0, 2, 4]"], of: "controlnet_blocks", got: "[0,2,4]", file: "[0,2,5]")
            try refused(["controlnet_blocks": "[2, 0, 5]"], of: "controlnet_blocks", got: "[2,0,5]", file: "[0,2,5]")
            try refused(
                ["controlnet_bottleneck_mode": "effnet"], of: "controlnet_bottleneck_mode", got: "effnet",
                file: "simple")
            let run = try Run(.controlnet)
            try run([
                "controlnet_checkpoint_path": start.weights, "updates": "1",
                "controlnet_filter_params": "{resize: 32, low_threshold: 50}",
            ])
            #expect(run.lines.contains { $0.contains("it was trained with CannyFilter of") })
            let same = try Run(.controlnet)
            try same([
                "controlnet_checkpoint_path": start.weights, "updates": "1",
                "controlnet_filter_params": "{resize: 32, low_threshold: 100}",
            ])
            #expect(!same.lines.contains { $0.contains("it was trained with") })
        }
    }
}
