import Cascade
import Failures
import Foundation
import JSON
import Layers
import TestSupport
import Testing
import Torch
import Weights

@testable import Training

extension TrainingRuns {
    /// Runs whose model sees the embeddings of some images.
    @Suite struct ImageTowers {
        /// A tower in transformers' layout, as small as it gets.
        /// - Parameter gain: what its projection is multiplied by.
        private func tower(in scratch: Scratch, projected: Int = 8, gain: Double) throws -> String {
            var c = CLIPVisionConfiguration()
            (c.width, c.innerWidth, c.layers, c.heads) = (16, 32, 1, 2)
            (c.projected, c.imageSize, c.patchSize) = (projected, 32, 16)
            let store = ParameterStore(from: DrawnParameters(try Generator(seed: 9)))
            _ = try CLIPVisionTower(c, store.root)
            try store["visual_projection.weight"]?.scale(by: gain)
            try FileManager.default.createDirectory(
                atPath: scratch["vision"], withIntermediateDirectories: true)
            try scratch.write(
                """
                {"vision_config": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
                 "num_attention_heads": 2, "projection_dim": \(projected), "image_size": 32, "patch_size": 16}}
                """, to: "vision/config.json")
            try SafetensorsWriter.write(store.tensors, to: scratch["vision/model.safetensors"])
            return scratch["vision"]
        }

        private func losses(_ changes: [String: String]) throws -> [Double] {
            let run = try Run(.lora)
            // Next to no learning: an update does not tell in the losses of later ones. With this seed some of the 16
            // images keep their embedding.
            try run(changes.merging(["updates": "4", "seed": "2", "lr": "1e-12"]) { $1 })
            return try run.metrics().compactMap { $0["raw_loss"]?.doubleValue }
        }

        @Test func `a tower changes the updates whose images keep their embedding, and no other number`() throws {
            let scratch = try Scratch()
            let without = try losses([:])
            #expect(without.count == 4)
            #expect(try losses(["clip_image_model_name": tower(in: scratch, gain: 0)]) == without)
            let with = try losses(["clip_image_model_name": tower(in: scratch, gain: 100)])
            let changed = zip(with, without).count { abs($0 - $1) > 1e-4 * $1 }
            #expect(changed > 0 && changed < 4)
        }

        @Test func `one image in ten keeps its embedding`() throws {
            let kept = try ConditionChances.kept(.image, dropout: 0.9, Draws(seed: 3, places: 0..<10_000)).count { $0 }
            #expect((900...1100).contains(kept))  // 1000 ± 3.3 deviations
        }

        @Test func `without a word it is the reference's tower that is missed, and null says what it means`() throws {
            let missing = try Run(.finetune).failure(["clip_image_model_name": ""])
            #expect(missing.blame == .input && missing.what.contains("openai/clip-vit-large-patch14"))
            #expect(missing.advice?.contains("models get") == true)
            let run = try Run(.finetune)
            try run(["updates": "1"])
            #expect(run.lines.contains { $0.contains("clip_image_model_name is null") && $0.contains("zeros") })
        }

        @Test func `a tower that is not there or does not suit is named with its place`() throws {
            let scratch = try Scratch()
            let run = try Run(.finetune)
            let missing = try run.failure(["clip_image_model_name": "no/such-tower"])
            #expect(missing.blame == .input && missing.what.contains("no/such-tower"))
            #expect(missing.place?.line != nil)
            let wide = try tower(in: scratch, projected: 12, gain: 1)
            let unsuited = try run.failure(["clip_image_model_name": wide])
            #expect(unsuited.blame == .input)
            #expect(unsuited.got == "12 numbers, 3 channels")
            let text = try run.failure(["clip_image_model_name": TinyWorld.shared().text])
            #expect(text.blame == .input)
        }
    }
}
