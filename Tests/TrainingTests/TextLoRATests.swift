import Failures
import Foundation
import TestSupport
import Testing
import Torch
import Training
import Weights

extension TrainingRuns {
    /// Runs that train a LoRA on the text encoder.
    @Suite struct TextLoRA {
        private static let text = [
            "text_module_filters": "[self_attn, mlp.fc1]", "text_lr": "0.02", "lora_init": "kaiming",
        ]

        private func paths(_ run: Run) throws -> [String] {
            try SafetensorsFile(run.weights).entries.map(\.name).filter { $0.hasPrefix("text_model.") }
        }

        @Test func `without filters nothing is different`() throws {
            let (plain, none) = (try Run(.lora), try Run(.lora))
            try plain()
            try none(["text_module_filters": "[]"])
            for path in [\Run.weights, \.optimizer] {
                #expect(try none.bytes(none[keyPath: path]) == plain.bytes(plain[keyPath: path]))
            }
            #expect(try none.metrics() == plain.metrics() && paths(plain).isEmpty)
        }

        @Test func `it is trained, averaged, logged and resumed`() throws {
            let keys = Self.text.merging(
                ["ema_start_iters": "1", "ema_iters": "1", "ema_beta": "0.5", "lora_dropout": "0.1"]
            ) { $1 }
            let (whole, parts) = (try Run(.lora), try Run(.lora))
            try whole(keys)
            var stopped = RunOptions()
            stopped.steps = 2
            try parts(keys, options: stopped)
            try parts(keys)
            let average = "lora_ema.safetensors"
            for (ours, theirs) in [
                (parts.weights, whole.weights), (parts.optimizer, whole.optimizer), (parts.info, whole.info),
                ("\(parts.checkpoints)/\(average)", "\(whole.checkpoints)/\(average)"),
            ] {
                #expect(try parts.bytes(ours) == whole.bytes(theirs))
            }
            #expect(try parts.metrics() == whole.metrics())
            // Five modules of the tower's one layer, and what starts at zero has moved.
            let file = try SafetensorsFile(whole.weights)
            let text = try paths(whole)
            #expect(text.count == 10 && file.metadata["text_module_filters"] == #"["self_attn","mlp.fc1"]"#)
            for name in text where name.hasSuffix(".lora_up.weight") {
                #expect(try file.required(name).norm().item() > 0, "\(name)")
            }
            let rates = try whole.metrics().map { ($0["lr"]?.doubleValue, $0["text_lr"]?.doubleValue) }
            for (all, own) in rates { #expect(try abs(#require(own) - 2 * #require(all)) < 1e-12) }
            #expect(try whole.metrics().allSatisfy { $0["lora_lr"] == nil })
        }

        @Test func `its rate is its own`() throws {
            let (plain, own) = (try Run(.lora), try Run(.lora))
            let keys = Self.text.merging(["updates": "1", "text_lr": ""]) { $1 }
            try plain(keys)
            try own(keys.merging(["text_lr": "0.02"]) { $1 })
            let (before, after) = (try SafetensorsFile(plain.weights), try SafetensorsFile(own.weights))
            for entry in before.entries where entry.name.hasSuffix(".lora_up.weight") {
                // What starts at zero is after AdamW's first step the rate times the gradient's sign.
                let factor = entry.name.hasPrefix("text_model.") ? 2.0 : 1
                let apart = try after.required(entry.name) - before.required(entry.name) * factor
                #expect(try apart.norm().item() <= 1e-4 * before.required(entry.name).norm().item(), "\(entry.name)")
            }
        }

        @Test func `layers computed again give the same, and the text encoder may be all that is trained`() throws {
            let keys = Self.text.merging(["module_filters": "", "train_tokens": ""]) { $1 }
            let (plain, saving) = (try Run(.lora), try Run(.lora))
            try plain(keys)
            try saving(keys.merging(["gradient_checkpointing": "true"]) { $1 })
            let losses = try [plain, saving].map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            #expect(losses[0].count == 3)
            for (once, again) in zip(losses[0], losses[1]) { #expect(abs(once - again) < 1e-5 * once) }
            #expect(try SafetensorsFile(plain.weights).entries.allSatisfy { $0.name.hasPrefix("text_model.") })
        }

        @Test func `captions are encoded anew, and the run says so`() throws {
            let (run, cached) = (try Run(.lora), try Run(.lora))
            let keys = Self.text.merging(["train_tokens": "", "cache_in_memory": "false"]) { $1 }
            let outcome = try cached(keys.merging(["cache_dir": cached.scratch["cache"]]) { $1 })
            #expect(outcome?.encoded?.captions == 0 && outcome?.encoded?.images == 12)
            #expect(cached.lines.contains { $0.hasPrefix("cache_dir keeps no captions") }, "\(cached.lines)")
            try run(keys)
            #expect(try run.metrics().count == cached.metrics().count)
        }

        @Test(arguments: [
            (["text_module_filters": "[q_prof]"], "self_attn.q_proj"), (["text_lr": "0"], "text_lr"),
            (["text_module_filters": "{q_proj: 1}"], "text_module_filters"),
        ])
        func `what cannot be is refused at its place`(keys: [String: String], word: String) throws {
            let failure = try Run(.lora).failure(keys)
            #expect(failure.blame == .input && failure.place?.file == "run.yaml" && failure.place?.line != nil)
            #expect("\(failure)".contains(word), "\(failure)")
        }
    }
}
