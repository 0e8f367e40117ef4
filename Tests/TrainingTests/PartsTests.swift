import TestSupport
import Testing
import Training

extension TrainingRuns {
    /// What a batch costs does not depend on how many micro batches it is cut into.
    @Suite struct Parts {
        private static let chances = [
            "batch_size": "8", "updates": "6", "caption_dropout": "0.3", "dropout": "0.2",
            "adaptive_loss_weight": "true", "offset_noise": "0.1", "bucketeer_random_ratio": "0.5",
            "multi_aspect_ratio": "[1, 0.5]", "dtype": "float32",
        ]

        @Test(arguments: [Recipe.lora, .controlnet, .stageB])
        func `losses are the same for any number of micro batches`(recipe: Recipe) throws {
            var keys = Self.chances
            if recipe == .lora { keys["lora_dropout"] = "0.3" }
            let runs = try [1, 2, 4, 8].map { parts in
                let run = try Run(recipe)
                try run(keys.merging(["grad_accum_steps": "\(parts)"]) { $1 })
                return run
            }
            let losses = try runs.map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            #expect(losses[0].count == 6 && Set(losses[0]).count == 6)
            for other in losses.dropFirst() {
                for (whole, cut) in zip(losses[0], other) { #expect(abs(whole - cut) <= 1e-5 * whole) }
            }
            // Samples too, in their order.
            let samples = try runs.map { try $0.metrics().map { $0["samples"] } }
            for other in samples.dropFirst() { #expect(other == samples[0]) }
        }
    }
}
