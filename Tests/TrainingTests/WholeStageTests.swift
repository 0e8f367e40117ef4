import JSON
import Testing
import Training
import Weights

extension TrainingRuns {
    /// Stages trained whole with weights in bfloat16, and with steps within the backward pass.
    @Suite struct WholeStages {
        private static let rounded = ["weights_dtype": "bfloat16", "updates": "4", "preview_steps": "0"]
        private static let averaged = ["ema_start_iters": "1", "ema_iters": "1", "ema_beta": "0.5"]

        private func expectSame(_ one: Run, _ two: Run, _ paths: [KeyPath<Run, String>] = [\.weights, \.optimizer])
            throws
        {
            for path in paths { #expect(try one.bytes(one[keyPath: path]) == two.bytes(two[keyPath: path])) }
        }

        @Test(arguments: [
            (Recipe.finetune, "adamw_8bit", "false"), (.stageB, "adafactor", "true"), (.finetune, "adamw", "true"),
        ])
        func `a resumed run of bfloat16 weights ends with the same bytes`(
            recipe: Recipe, optimizer: String, fused: String
        ) throws {
            let keys = Self.rounded.merging(Self.averaged) { $1 }
                .merging([
                    "optimizer": optimizer, "fused_backward": fused, "gradient_checkpointing": "true",
                    "gradient_clip": "0.01",
                ]) { $1 }
            let (whole, parts) = (try Run(recipe), try Run(recipe))
            try whole(keys)
            var stopped = RunOptions()
            stopped.steps = 2
            try parts(keys, options: stopped)
            try parts(keys)
            try expectSame(parts, whole, [\.weights, \.optimizer, \.info])
            let average = "\(whole.checkpoints)/generator_ema.safetensors"
            #expect(try parts.bytes("\(parts.checkpoints)/generator_ema.safetensors") == whole.bytes(average))
            #expect(try parts.metrics() == whole.metrics())
            // What is trained is bfloat16, its running mean and the optimizer's state are not.
            #expect(try SafetensorsFile(whole.weights).entries.allSatisfy { $0.dtype == .bfloat16 })
            #expect(try SafetensorsFile(average).entries.allSatisfy { $0.dtype == .float32 })
            let norm = try JSON.parse(whole.text(whole.info), file: whole.info)["gradient_norm"]
            #expect((norm != nil) == (fused == "true"))
        }

        /// Both stages: Stage B runs blocks several times, whose gradients come in parts where they are computed again.
        @Test(arguments: [
            (Recipe.finetune, "float32", "true"), (.finetune, "bfloat16", "false"), (.stageB, "float32", "true"),
            (.stageB, "bfloat16", "true"), (.stageB, "float32", "false"),
        ])
        func `steps within the backward pass are those after it, where nothing is clipped`(
            recipe: Recipe, dtype: String, checkpointing: String
        ) throws {
            let keys = [
                "weights_dtype": dtype, "gradient_checkpointing": checkpointing, "gradient_clip": "1e9", "updates": "3",
            ]
            let (fused, plain) = (try Run(recipe), try Run(recipe))
            try fused(keys.merging(["fused_backward": "true"]) { $1 })
            try plain(keys)
            try expectSame(fused, plain)
            let metrics = try [fused, plain].map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            #expect(metrics[0] == metrics[1] && metrics[0].count == 3)
        }

        @Test func `gradients are clipped by the norm of the update before`() throws {
            let (fused, plain) = (try Run(.finetune), try Run(.finetune))
            try fused(["fused_backward": "true", "updates": "1", "gradient_clip": "1e-6", "optimizer": "adamw"])
            try plain(["updates": "1", "gradient_clip": "1e9"])
            // The first has none before it, so it is not clipped.
            try expectSame(fused, plain)
            let norm = try #require(try fused.metrics().first?["grad_norm"]?.doubleValue)
            let kept = try JSON.parse(fused.text(fused.info), file: fused.info)["gradient_norm"]?.doubleValue
            #expect(kept == norm && norm > 0)
            try fused(["fused_backward": "true", "updates": "2", "gradient_clip": "1e-6"])
            try plain(["updates": "2", "gradient_clip": "1e9"])
            #expect(try fused.bytes(fused.weights) != plain.bytes(plain.weights))
        }

        @Test func `parts of bfloat16 gradients are added up as one batch's`() throws {
            let (whole, parts) = (try Run(.finetune), try Run(.finetune))
            try whole(Self.rounded)
            try parts(Self.rounded.merging(["grad_accum_steps": "2"]) { $1 })
            let norms = try [whole, parts].map { try $0.metrics().compactMap { $0["grad_norm"]?.doubleValue } }
            for (one, two) in zip(norms[0].prefix(1), norms[1]) { #expect(abs(one - two) < 0.01 * one) }
        }

        @Test func `rounded weights learn as whole ones do`() throws {
            let (rounded, whole) = (try Run(.finetune), try Run(.finetune))
            let keys = ["updates": "12", "lr": "0.002", "gradient_clip": "1"]
            try whole(keys)
            try rounded(keys.merging(["weights_dtype": "bfloat16"]) { $1 })
            let losses = try [whole, rounded].map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            for (one, two) in zip(losses[0], losses[1]) { #expect(abs(one - two) < 0.03 * one) }
        }

        @Test(arguments: [
            (Recipe.finetune, ["fused_backward": "true", "grad_accum_steps": "2"], "one micro-batch"),
            (.finetune, ["fused_backward": "true", "optimizer": "prodigy"], "prodigy"),
            (.finetune, ["weights_dtype": "bfloat16", "optimizer": "prodigy"], "prodigy"),
            (.finetune, ["weights_dtype": "int8"], "float32"),
            (.lora, ["weights_dtype": "bfloat16"], "trained whole"),
            (.controlnet, ["fused_backward": "true"], "trained whole"),
        ])
        func `what does not go together is refused`(recipe: Recipe, keys: [String: String], word: String) throws {
            let failure = try Run(recipe).failure(keys)
            #expect(failure.blame == .input && failure.place?.file == "run.yaml")
            #expect("\(failure)".contains(word), "\(failure)")
        }
    }
}
