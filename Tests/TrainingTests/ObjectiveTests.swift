import Failures
import Settings
import Synchronization
import TestSupport
import Testing
import Torch

@testable import Training

extension TrainingRuns {
    /// What the keys of objectives and of dropouts do to a run.
    @Suite struct Objectives {
        private func losses(_ recipe: Recipe, _ changes: [String: String] = [:]) throws -> [Double] {
            if changes.isEmpty, let known = Self.unchanged.withLock({ $0[recipe] }) { return known }
            let run = try Run(recipe)
            try run(changes.merging(["updates": "2"]) { $1 })
            let losses = try run.metrics().compactMap { $0["raw_loss"]?.doubleValue }
            if changes.isEmpty { Self.unchanged.withLock { $0[recipe] = losses } }
            return losses
        }

        /// Of each recipe as the tiny configuration has it.
        private static let unchanged = Mutex<[Recipe: [Double]]>([:])

        @Test func `edm_objective is the v target`() throws {
            let asked = try losses(.finetune, ["edm_objective": "True"])
            #expect(try losses(.finetune, ["target": "v"]) == asked)
            #expect(try losses(.finetune, ["target": "v", "edm_objective": "true"]) == asked)
            #expect(try losses(.finetune) != asked)
            let failure = try Run(.finetune).failure(["edm_objective": "true", "target": "x0"])
            #expect(failure.blame == .input && failure.got == "x0" && failure.place?.line != nil)
        }

        @Test func `shift changes nothing, and the run says so`() throws {
            let run = try Run(.stageB)
            try run(["shift": "4", "updates": "2"])
            #expect(try run.metrics().compactMap { $0["raw_loss"]?.doubleValue } == losses(.stageB))
            #expect(run.lines.contains { $0.hasPrefix("shift 4.0 changes nothing") })
            let schedule = "{name: cosine, clamp_range: [0.0001, 0.9999], shift: 4.0}"
            #expect(run.lines.contains { $0.contains("`schedule: \(schedule)`") })
            #expect(try losses(.stageB, ["schedule": schedule]) != losses(.stageB))
            #expect(try Run(.finetune).failure(["shift": "4"]).what.contains("shift"))
        }

        @Test func `Stage B is trained with pyramid noise unless it is switched off`() throws {
            let (on, off) = (try losses(.stageB), try losses(.stageB, ["pyramid_noise": "false"]))
            #expect(try on != off && losses(.stageB, ["pyramid_noise": "true"]) == on)
        }

        @Test(arguments: [
            (Recipe.finetune, "dropout", "0"), (.stageB, "dropout", "[0, 0]"), (.lora, "dropout", "0.3"),
            (.lora, "lora_dropout", "0.5"),
            (.finetune, "caption_dropout", "1"), (.stageB, "effnet_dropout", "1"), (.stageB, "effnet_scale", "[1, 1]"),
            (.finetune, "loss", "huber"), (.finetune, "loss", "{name: huber, delta: 0.1}"),
            (.finetune, "loss_weight", "min_snr"), (.finetune, "loss_weight", "debiased"),
            (.finetune, "loss_weight", "constant"), (.finetune, "adaptive_loss_weight", "true"),
        ])
        func `a key that has a say changes the second update`(recipe: Recipe, key: String, value: String) throws {
            let (with, without) = (try losses(recipe, [key: value]), try losses(recipe))
            #expect(with.count == 2 && with[1] != without[1] && with.allSatisfy { $0 > 0 && $0.isFinite })
        }

        @Test func `dropout is the same where blocks are computed again, and in a run that goes on`() throws {
            for recipe in [Recipe.finetune, .stageB] {
                let (plain, saving) = (try Run(recipe), try Run(recipe))
                try plain(["dropout": "0.4", "gradient_checkpointing": "false"])
                try saving(["dropout": "0.4", "gradient_checkpointing": "true", "updates": "1"])
                try saving(["dropout": "0.4", "gradient_checkpointing": "true"])
                let pairs = try zip(plain.metrics(), saving.metrics()).map {
                    (try #require($0["raw_loss"]?.doubleValue), try #require($1["raw_loss"]?.doubleValue))
                }
                #expect(pairs.count == 3)
                for (once, again) in pairs { #expect(abs(once - again) < 1e-5 * once, "\(recipe)") }
            }
        }

        @Test(arguments: [
            ("dropout", "1"), ("dropout", "[0.1, 0.1, 0.1]"), ("dropout", "[]"), ("effnet_scale", "[1, 0.5]"),
            ("effnet_scale", "0.5"), ("effnet_dropout", "1.5"), ("caption_dropout", "-0.1"), ("loss", "mae"),
            ("loss", "{name: huber, delta: 0}"), ("shift", "0"), ("picture_dropout", "0.5"),
            ("clip_image_model_name", "anything"), ("previewer_checkpoint_path", "anything"),
        ])
        func `values that cannot be are refused at their place`(key: String, value: String) throws {
            let failure = try Run(.stageB).failure([key: value])
            #expect(failure.blame == .input && failure.place?.file == "run.yaml" && failure.place?.line != nil)
            #expect(failure.what.contains(key) || failure.expected != nil, "\(failure)")
        }

        @Test func `Stage B takes no adapter`() throws {
            let stageB = try TinyStageB.shared()
            for recipe in [Recipe.lora, .controlnet] {
                let failure = try Run(recipe).failure(stageB.keys)
                #expect(failure.what.contains("takes no adapter") && failure.place?.file == "run.yaml", "\(failure)")
            }
        }

        @Test func `Stage B is measured and shown`() throws {
            let run = try Run(.stageB)
            let outcome = try #require(
                try run(TinyWorld.shared().heldOut.merging(["save_every": "3", "use_fsdp": "True"]) { $1 }))
            let report = try #require(outcome.validation)
            #expect(report.triples == 4 && report.before > 0 && report.after > 0 && report.swapped == nil)
            #expect(try run.bytes(run.scratch["output/run/000003.jpg"]).count > 1000)
            #expect(run.lines.contains { $0.hasPrefix("use_fsdp: ") })
            #expect(run.lines.contains("run: Stage B whole"))
        }
    }

    /// What training leaves out at random.
    @Suite struct Chances {
        private func chances(_ text: String, _ stage: TrainedStage) throws -> ConditionChances {
            var fields = try Setting.parse(text, file: "run.yaml").fields()
            let chances = try ConditionChances(&fields, stage)
            try fields.finish()
            return chances
        }

        @Test func `the defaults are the reference's`() throws {
            let c = try chances("{}", .c)
            #expect(c.captionDropout == 0.05 && c.imageDropout == 0.9)
            let b = try chances("{}", .b)
            #expect(b.captionDropout == 0.05 && b.effnetDropout == 0.1 && b.effnetScale == 0.5...1)
        }

        @Test func `as many samples are left out as is asked for`() throws {
            let draws = Draws(seed: 1, places: 0..<4000)
            let captions = [String](repeating: "a dog", count: 4000)
            let left = try chances("{caption_dropout: 0.25}", .c).dropping(captions, draws)
            // Four standard deviations of a share of 4000.
            #expect(abs(Double(left.filter(\.isEmpty).count) / 4000 - 0.25) < 0.028)
            #expect(try chances("{caption_dropout: 0}", .c).dropping(captions, draws) == captions)
            #expect(try chances("{caption_dropout: 1}", .c).dropping(captions, draws).allSatisfy(\.isEmpty))
        }
    }
}
