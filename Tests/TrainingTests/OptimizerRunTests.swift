import Failures
import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Training
import Weights

extension TrainingRuns {
    /// Runs with every optimizer, with a schedule of the rate and with a running mean of the weights.
    @Suite struct Optimizers {
        private static let averaged = ["ema_start_iters": "1", "ema_iters": "1", "ema_beta": "0.5"]

        private func average(_ run: Run) -> String { "\(run.checkpoints)/\(run.recipe.files)_ema.safetensors" }

        private func tensors(_ path: String) throws -> [String: [Float]] {
            let file = try SafetensorsFile(path)
            return try Dictionary(
                uniqueKeysWithValues: file.entries.map { ($0.name, try file.required($0.name).values(as: Float.self)) })
        }

        @Test(arguments: [
            (Recipe.lora, "{name: prodigy, d0: 0.001}"), (.finetune, "{name: adafactor, beta1: 0.9}"),
            (.controlnet, "adamw_8bit"),
        ])
        func `a resumed run ends with the same bytes`(recipe: Recipe, optimizer: String) throws {
            let keys = Self.averaged.merging(["optimizer": optimizer, "lr_schedule": "cosine", "updates": "4"]) { $1 }
            let (whole, parts) = (try Run(recipe), try Run(recipe))
            try whole(keys)
            var stopped = RunOptions()
            stopped.steps = 2
            try parts(keys, options: stopped)
            try parts(keys)
            #expect(parts.lines.contains("resumed at update 2"))
            for path in [\Run.weights, \.optimizer, \.info] {
                #expect(try parts.bytes(parts[keyPath: path]) == whole.bytes(whole[keyPath: path]))
            }
            #expect(try parts.bytes(average(parts)) == whole.bytes(average(whole)))
            #expect(try parts.bytes(average(parts)) != parts.bytes(parts.weights))
            #expect(try parts.metrics() == whole.metrics())
        }

        @Test func `the state of another optimizer is refused by name`() throws {
            let run = try Run(.lora)
            try run(["updates": "1"])
            let failure = try run.failure(["updates": "2", "optimizer": "adafactor"])
            #expect(failure.blame == .input && failure.place?.file == run.optimizer)
            #expect(failure.expected?.contains("adafactor") == true && failure.got?.contains("adamw") == true)
            #expect(failure.advice?.contains("optimizer: adamw") == true)
        }

        @Test func `up to its start the mean is a copy, and it is an adapter as the weights are`() throws {
            let run = try Run(.lora)
            try run(["updates": "2", "ema_start_iters": "2", "ema_iters": "1"])
            #expect(try tensors(average(run)) == tensors(run.weights))
            #expect(try SafetensorsFile(average(run)).metadata == SafetensorsFile(run.weights).metadata)
            // Beyond it the mean stays behind.
            try run(["updates": "3", "ema_start_iters": "2", "ema_iters": "1"])
            #expect(try tensors(average(run)) != tensors(run.weights))
        }

        @Test func `a mean that begins with the run's second half starts as a copy`() throws {
            let run = try Run(.lora)
            try run(["updates": "1"])
            #expect(!FileManager.default.fileExists(atPath: average(run)))
            try run(Self.averaged.merging(["updates": "2"]) { $1 })
            #expect(run.lines.contains { $0.contains("averaged from update 1 on") }, "\(run.lines)")
            #expect(FileManager.default.fileExists(atPath: average(run)))
        }

        @Test func `a damaged mean makes the checkpoint before it the last one`() throws {
            let run = try Run(.lora)
            try run(Self.averaged.merging(["updates": "2", "save_every": "1"]) { $1 })
            try Data("none".utf8).write(to: URL(fileURLWithPath: average(run)))
            try run(Self.averaged.merging(["updates": "3"]) { $1 })
            #expect(run.lines.contains("resumed at update 1"))
        }

        @Test func `backups have their means beside them`() throws {
            let run = try Run(.lora)
            try run(Self.averaged.merging(["updates": "2", "backup_every": "2"]) { $1 })
            #expect(try run.bytes("\(run.checkpoints)/lora_2.safetensors") == run.bytes(run.weights))
            #expect(try run.bytes("\(run.checkpoints)/lora_ema_2.safetensors") == run.bytes(average(run)))
        }

        @Test func `the log says the rate of each update`() throws {
            let run = try Run(.lora)
            try run(["updates": "4", "warmup_updates": "2", "lr_schedule": "{name: linear, min_lr_ratio: 0.5}"])
            let rates = try run.metrics().compactMap { $0["lr"]?.doubleValue }
            #expect(rates.count == 4)
            for (ours, expected) in zip(rates, [0.005, 0.01, 0.01, 0.0075]) { #expect(abs(ours - expected) < 1e-12) }
        }

        @Test func `layers and tokens learn at rates of their own`() throws {
            let (plain, own) = (try Run(.lora), try Run(.lora))
            try plain(["updates": "1"])
            try own(["updates": "1", "lora_lr": "0.02"])
            let (before, after) = (try tensors(plain.weights), try tensors(own.weights))
            #expect(after["tokens.delta"] == before["tokens.delta"])
            let (shared, told) = (try #require(plain.metrics().first), try #require(own.metrics().first))
            #expect(told["lora_lr"]?.doubleValue == (shared["lr"]?.doubleValue ?? 0) * 2 && told["token_lr"] == nil)
            #expect(told["lr"] == shared["lr"] && shared["lora_lr"] == nil)
            // What starts at zero is after AdamW's first step the rate times the gradient's sign.
            let downs = before.keys.filter { $0.hasSuffix(".lora_down.weight") }
            #expect(!downs.isEmpty && downs.contains { before[$0]?.contains { $0 != 0 } == true })
            for name in downs {
                for (one, two) in zip(before[name] ?? [], after[name] ?? []) {
                    #expect(abs(two - 2 * one) <= 1e-4 * abs(one), "\(name)")
                }
            }
        }

        @Test(arguments: [
            (["optimizer": "prodigy", "token_lr": "0.5"], "token_lr"), (["ema_beta": "0.9"], "ema_start_iters"),
            (["lr_schedule": "{name: cosine, cycles: 2}"], "cycles"), (["optimizer": "{name: adamw, beta: 1}"], "beta"),
            (["lora_lr": "0"], "lora_lr"),
        ])
        func `what does not fit is refused before anything is loaded`(keys: [String: String], word: String) throws {
            let failure = try Run(.lora).failure(keys)
            #expect(failure.blame == .input && failure.place?.file == "run.yaml")
            #expect("\(failure)".contains(word), "\(failure)")
        }
    }
}
