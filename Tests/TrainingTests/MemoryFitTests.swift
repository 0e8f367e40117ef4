import Failures
import Foundation
import Settings
import Synchronization
import TestSupport
import Testing
import Torch

@testable import Training

extension TrainingRuns {
    /// What a run does where memory is short.
    @Suite struct MemoryFitTests {
        private static func options(free: Int?) -> RunOptions {
            var options = RunOptions()
            options.freeMemory = { _ in free }
            return options
        }

        /// What a run needs by the estimate that it is settled by, without what is read of the data.
        private func needed(_ run: Run, _ keys: [String: String]) throws -> Int {
            let recipe = try #require(try run.configured(keys) as? any SettledRecipe)
            return try recipe.networks(Self.options(free: nil)).memory.needed
        }

        private static let batch = ["batch_size": "8", "updates": "2", "image_size": "128"]

        // MARK: Settling

        @Test(arguments: [Recipe.finetune, .lora, .controlnet, .stageB])
        func `auto takes the largest part that fits, then checkpointing, and says so`(recipe: Recipe) throws {
            let automatic = Self.batch.merging(["grad_accum_steps": "auto", "gradient_checkpointing": "auto"]) { $1 }
            let run = try Run(recipe)
            func needed(_ parts: Int, _ checkpointing: Bool) throws -> Int {
                let keys = ["grad_accum_steps": "\(parts)", "gradient_checkpointing": "\(checkpointing)"]
                return try self.needed(run, Self.batch.merging(keys) { $1 })
            }
            let whole = try needed(1, false), half = try needed(2, false), last = try needed(8, false)
            let again = try needed(8, true)
            #expect(whole > half && half > last && last > again)
            for (room, parts, checkpointing) in [
                (whole, 1, false), (half, 2, false), (last, 8, false), (again, 8, true),
            ] {
                // What is free has to hold a tenth more than the estimate.
                let options = Self.options(free: room * 110 / 100 + 4096)
                let plan = try run.plan(automatic, options: options)
                #expect(plan.run.accumulation == parts && plan.run.isCheckpointing == checkpointing)
                let said =
                    "gradient_checkpointing: auto is \(checkpointing), grad_accum_steps: auto is \(parts): about "
                #expect(plan.remarks.contains { $0.hasPrefix(said) }, "\(plan.remarks)")
                #expect(plan.remarks.contains("fits into the memory that is free"))
            }
        }

        @Test func `a run whose parts were found trains as one whose parts are written`() throws {
            let (automatic, written) = (try Run(.lora), try Run(.lora))
            let parts = Self.batch.merging(["grad_accum_steps": "4"]) { $1 }
            let room = try needed(written, parts) * 110 / 100 + 4096
            try automatic(Self.batch.merging(["grad_accum_steps": "auto"]) { $1 }, options: Self.options(free: room))
            try written(parts)
            #expect(automatic.lines.contains { $0.hasPrefix("grad_accum_steps: auto is 4: about ") })
            #expect(try automatic.bytes(automatic.weights) == written.bytes(written.weights))
            // It goes on with them where there is more room.
            let more = Self.batch.merging(["updates": "4"]) { $1 }
            try automatic(more.merging(["grad_accum_steps": "auto"]) { $1 }, options: Self.options(free: 1 << 40))
            try written(more.merging(["grad_accum_steps": "4"]) { $1 })
            #expect(try automatic.bytes(automatic.weights) == written.bytes(written.weights))
        }

        @Test func `where what is free can't be told a batch stays whole and blocks are computed again`() throws {
            let keys = Self.batch.merging(["grad_accum_steps": "auto", "gradient_checkpointing": "auto"]) { $1 }
            let plan = try Run(.lora).plan(keys, options: Self.options(free: nil))
            #expect(plan.run.accumulation == 1 && plan.run.isCheckpointing)
            #expect(plan.remarks.contains { $0.contains("how much is free can't be told here") })
            #expect(!plan.remarks.contains { $0.contains("fit") })
        }

        @Test func `a base is quantised where nothing else makes room, and stays so when the run goes on`() throws {
            let scratch = try Scratch()
            let world = try WideWorld(in: scratch)
            let keys = world.keys.merging(Self.batch) { $1 }.merging(["dtype": "bfloat16"]) { $1 }
            let whole = keys.merging(["grad_accum_steps": "8", "gradient_checkpointing": "true"]) { $1 }
            let run = try Run(.lora, in: scratch)
            // Mapped files can be read again: of a base that is none is needed.
            let held = try needed(run, whole.merging(["base_dtype": "int8"]) { $1 })
            #expect(try needed(run, whole.merging(["base_dtype": "nf4"]) { $1 }) < held)
            let automatic = keys.merging([
                "grad_accum_steps": "auto", "gradient_checkpointing": "auto", "base_dtype": "auto", "dtype": "float32",
            ]) { $1 }
            let plain = try needed(run, whole.merging(["dtype": "float32"]) { $1 })
            let roomy = try run.plan(automatic, options: Self.options(free: plain * 2))
            #expect(roomy.run.baseDType == nil)
            let choice = try run.plan(automatic, options: Self.options(free: min(held, plain) / 2))
            #expect(choice.run.baseDType == .nf4 && choice.run.accumulation == 8 && choice.run.isCheckpointing)
            #expect(choice.remarks.contains { $0.contains("base_dtype: auto is nf4") })
        }

        // MARK: Refusing

        @Test(arguments: [Recipe.finetune, .lora, .controlnet, .stageB])
        func `a run that cannot fit ends before it loads, with what would`(recipe: Recipe) throws {
            let run = try Run(recipe)
            let least = try needed(
                run, Self.batch.merging(["grad_accum_steps": "8", "gradient_checkpointing": "true"]) { $1 })
            let whole = try needed(run, Self.batch)
            let free = max(least * 112 / 100, whole * 6 / 10)
            let options = Self.options(free: free)
            guard Double(whole) * 0.9 > Double(free) else { return }
            // What would be loaded is not there.
            let failure = try run.failure(Self.batch, options: options)
            #expect(failure.blame == .input && failure.what == "the run does not fit into the memory", "\(failure)")
            #expect(failure.place?.line != nil && failure.got?.hasPrefix("about ") == true)
            let advice = try #require(failure.advice)
            let prefix = "it would fit with "
            try #require(advice.hasPrefix(prefix), "\(advice)")
            var keys = Self.batch
            for change in advice.dropFirst(prefix.count).split(separator: ", ") {
                let words = change.split(separator: ":", maxSplits: 1)
                keys[String(words[0])] = words[1].trimmingCharacters(in: .whitespaces)
            }
            try run(keys, options: options)
            #expect(try run.metrics().count == 2)
            #expect(try run.plan(Self.batch, options: options).remarks.contains { $0.contains("does not fit") })
        }

        @Test func `what nothing makes fit is said to`() throws {
            for recipe in [Recipe.lora, .finetune] {
                let failure = try Run(recipe).failure(Self.batch, options: Self.options(free: 1 << 20))
                #expect(failure.advice?.hasPrefix("it would not fit with grad") == true, "\(failure.advice ?? "")")
            }
        }

        // MARK: Running out

        /// Lets an allocation fail in the third update.
        private func failing(_ allocation: Int) -> RunOptions {
            let asked = Mutex(0)
            var options = RunOptions()
            options.interruption = RunInterruption {
                // Asked before each update.
                let isThird = asked.withLock {
                    $0 += 1
                    return $0 == 3
                }
                if isThird { try? Engine.shared().failAllocation(allocation) }
                return false
            }
            return options
        }

        @Test(arguments: [Recipe.lora, .finetune, .controlnet, .stageB], [250, 400])
        func `where an allocation fails the part is halved, the update taken again, and said once`(
            recipe: Recipe, allocation: Int
        ) throws {
            let keys = ["batch_size": "4", "updates": "5", "adaptive_loss_weight": "true", "dropout": "0.2"]
            let (failing, whole) = (try Run(recipe), try Run(recipe))
            try failing(keys, options: self.failing(allocation))
            try Engine.shared().failAllocation(nil)
            try whole(keys)
            let said = failing.lines.filter { $0.contains("memory ran out") }
            #expect(said.count == 1 && said[0].contains("at update 3, which was taken again in 2 parts"), "\(said)")
            let losses = try [failing, whole].map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            #expect(losses[0].count == 5)
            for (one, other) in zip(losses[0], losses[1]) { #expect(abs(one - other) <= 1e-5 * other) }
            #expect(try failing.metrics().map { $0["samples"] } == whole.metrics().map { $0["samples"] })
            #expect(try failing.text(failing.info).contains("\"parts\""))
        }

        @Test func `a single sample that does not fit ends the run with a word`() throws {
            let keys = ["batch_size": "1", "updates": "5"]
            let failure = try Run(.lora).failure(keys, options: failing(400))
            #expect(failure.blame == .run && failure.lacksMemory && failure.advice?.contains("plan") == true)
            try Engine.shared().failAllocation(nil)
        }

        @Test func `steps within the backward pass can't be halved, and the checkpoint stays`() throws {
            let keys = ["batch_size": "4", "updates": "5", "fused_backward": "true", "save_every": "1"]
            let run = try Run(.finetune)
            let failure = try run.failure(keys, options: failing(400))
            #expect(failure.lacksMemory && failure.advice?.contains("batch_size") == true, "\(failure)")
            try Engine.shared().failAllocation(nil)
            try run(keys)
            #expect(try run.metrics().count == 5)
        }
    }
}
