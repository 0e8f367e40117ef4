import Cascade
import Foundation
import JSON
import Layers
import TestSupport
import Testing
import Torch
import Training

extension TrainingRuns {
    /// Adapters on a base whose matrices are kept in fewer bits.
    @Suite struct QuantisedBases {
        private func keys(_ world: WideWorld, _ changes: [String: String]) -> [String: String] {
            world.keys.merging(["updates": "4", "lr": "0.001"]) { $1 }.merging(changes) { $1 }
        }

        private func losses(_ run: Run) throws -> [Double] {
            try run.metrics().compactMap { $0["raw_loss"]?.doubleValue }
        }

        @Test(arguments: [("int8", 0.01), ("nf4", 0.1)]) func `a LoRA learns on it what it learns on the whole base`(
            dtype: String, difference: Double
        ) throws {
            let scratch = try Scratch()
            let world = try WideWorld(in: scratch)
            let whole = try Run(.lora, in: scratch)
            try whole(keys(world, ["dtype": "float32"]))
            let quantised = try Run(.lora)
            try quantised(keys(world, ["dtype": "float32", "base_dtype": dtype]))
            let pairs = try zip(losses(whole), losses(quantised)).map { abs($0 - $1) / $0 }
            #expect(pairs.count == 4)
            #expect(pairs.allSatisfy { $0 > 0 && $0 < difference }, "\(pairs)")
        }

        @Test(arguments: [Recipe.lora, .controlnet], ["int8", "nf4"])
        func `stopped and started again it comes to the same bytes`(recipe: Recipe, dtype: String) throws {
            let scratch = try Scratch()
            let world = try WideWorld(in: scratch)
            let changes = keys(world, ["base_dtype": dtype, "gradient_checkpointing": "true", "save_every": "1"])
            let whole = try Run(recipe, in: scratch)
            try whole(changes)
            let parts = try Run(recipe)
            for updates in ["1", "3", "4"] { try parts(changes.merging(["updates": updates]) { $1 }) }
            #expect(try parts.bytes(parts.weights) == whole.bytes(whole.weights))
            #expect(try losses(parts) == losses(whole))
        }

        @Test(arguments: [BaseDType.int8, .nf4]) func `a file that is quantised already trains as one that becomes so`(
            dtype: BaseDType
        ) throws {
            let scratch = try Scratch()
            let world = try WideWorld(in: scratch)
            let changes = keys(world, ["dtype": "bfloat16"])
            let loaded = try Run(.lora, in: scratch)
            try loaded(changes.merging(["base_dtype": dtype.rawValue]) { $1 })

            try QuantisedFile(world.base, as: dtype).write(to: scratch["base.safetensors"])
            try FileManager.default.copyItem(atPath: world.text, toPath: scratch["text"])
            try QuantisedFile(world.text, as: dtype).write(to: scratch["text/model.safetensors"])
            let mapped = try Run(.lora)
            let named = [
                "generator_checkpoint_path": scratch["base.safetensors"], "clip_text_model_name": scratch["text"],
            ]
            try mapped(changes.merging(named) { $1 })
            #expect(try losses(mapped) == losses(loaded))
        }

        @Test func `what makes no sense is one line`() throws {
            let scratch = try Scratch()
            let world = try WideWorld(in: scratch)
            let nf4 = scratch["nf4.safetensors"]
            try QuantisedFile(world.base, as: .nf4).write(to: nf4)
            for (recipe, changes, text) in [
                (Recipe.lora, ["base_dtype": "int4"], "base_dtype"),
                (.finetune, ["base_dtype": "nf4"], "base_dtype"),
                (.finetune, ["generator_checkpoint_path": nf4], "quantised"),
                (.lora, ["generator_checkpoint_path": nf4, "base_dtype": "int8"], "quantised otherwise"),
                (.lora, ["generator_checkpoint_path": nf4, "base_dtype": "bfloat16"], "quantised otherwise"),
            ] {
                let failure = try Run(recipe).failure(keys(world, changes))
                #expect(failure.blame == .input && failure.what.contains(text), "\(failure)")
            }
        }
    }
}
