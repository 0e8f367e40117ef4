import Cascade
import Failures
import TestSupport
import Testing
import Torch

@testable import Training

extension TrainingRuns {
    /// What a plan counts of previews and validation.
    @Suite struct EvaluationMemoryTests {
        private func memory(_ recipe: Recipe, _ keys: [String: String]) throws -> MemoryEstimate {
            try Run(recipe).plan(keys).memory
        }

        /// Of a part of a moment.
        private func bytes(_ memory: MemoryEstimate, _ moment: MemoryEstimate.Phase, _ name: String) -> Int? {
            memory.parts.first { $0.phase == moment && $0.name == name }?.bytes
        }

        @Test(arguments: Recipe.allCases)
        func `moments are told apart, and the one that takes the most counts`(recipe: Recipe) throws {
            let held = try TinyWorld.shared().heldOut
            let without = try memory(recipe, [:])
            #expect(without.peak == .update && without.bytes(of: .preview) == 0)
            #expect(without.bytes(of: .validation) == 0)
            let small = try memory(recipe, held.merging(["batch_size": "64"]) { $1 })
            let large = try memory(
                recipe, held.merging(["preview_prompts": "[{prompt: a dog, size: [2048, 2048]}]"]) { $1 })
            for memory in [small, large] {
                let moments = MemoryEstimate.Phase.moments.map { memory.bytes(at: $0) }
                #expect(memory.bytes == moments.max() && memory.bytes == memory.bytes(at: memory.peak))
                #expect(memory.bytes(of: .preview) > 0 && memory.bytes(of: .validation) > 0)
            }
            #expect(large.peak == .preview && large.bytes(at: .update) < large.bytes)
            // What an update leaves waits while a preview is made.
            #expect(small.bytes(of: .preview) >= small.passing)
        }

        @Test func `a prompt's own size is decoded, and rows are as many as there are`() throws {
            let keys = ["preview_steps": "2", "preview_prompts": "[{prompt: a dog, size: [4096, 2048]}]"]
            let plain = try memory(.lora, keys)
            // Two channels, a fourth of the previewer's eight, at eight times the latents' sides; three maps and a half.
            let decoding = 4 * (8 * 128) * (8 * 64) * 2 * 7 / 2
            #expect(SideNetworks.previewer(.init(hidden: 8), latents: (height: 64, width: 128)) == decoding)
            let sampling = try #require(bytes(plain, .preview, "sampling"))
            #expect(sampling > decoding)
            let half = try memory(
                .lora, ["preview_steps": "2", "preview_prompts": "[{prompt: a dog, size: [2048, 2048]}]"])
            let ratio = Double(sampling) / Double(try #require(bytes(half, .preview, "sampling")))
            #expect((1.9..<2.1).contains(ratio), "\(ratio)")
            let image = 64 * 64 * 3
            #expect(bytes(plain, .preview, "preview images") == 5 * 4 * image)
            let more = ["preview_compare": "true", "ema_start_iters": "0", "ema_iters": "1"]
            let compared = try memory(.lora, keys.merging(more) { $1 })
            #expect(bytes(compared, .preview, "preview images") == 7 * 4 * image)
            let controlled = try memory(.controlnet, keys.merging(["controlnet_bottleneck_mode": "effnet"]) { $1 })
            #expect(bytes(controlled, .preview, "preview images") == 6 * 4 * image)
            // Canny's one channel of 32 pixels, and what three blocks of 16 channels get of them.
            #expect((bytes(controlled, .preview, "conditions") ?? 0) > 4 * 4 * 32 * 32)
        }

        @Test func `sampling keeps keys and values of every attention block`() {
            // The published 3.6B: 64 blocks of width 2048, of 77 tokens of text and four of each pooled embedding.
            #expect(StageCConfiguration.large.keysAndValues(tokens: 85) == 64 * 85 * 2 * 2048)
        }

        @Test func `validation keeps its triples, and a dataset that is not here is told`() throws {
            let world = try TinyWorld.shared()
            let run = try Run(.lora)
            let keys = ["validation_path": world.folder["held-out.tar"], "validation_triples": "6"]
            let plan = try run.plan(keys)
            let images = try #require(plan.validationImages)
            #expect(images == 4)
            // Sixteen channels at a 32nd of 64 pixels.
            #expect(bytes(plan.memory, .optimizer, "validation set") == 4 * (images + 6) * 16 * 2 * 2)
            let absent = try run.plan(["validation_path": "not-here.tar"])
            #expect(absent.missing.map(\.key) == ["validation_path"])
            #expect(absent.missing.first?.place.line != nil)
        }

        @Test func `where a preview is what does not fit, it is what has to go`() throws {
            let run = try Run(.lora)
            let keys = [
                "updates": "1", "preview_steps": "2", "preview_prompts": "[{prompt: a dog, size: [8192, 8192]}]",
            ]
            func options(_ free: Int) -> RunOptions {
                var options = RunOptions()
                options.freeMemory = { _ in free }
                return options
            }
            let recipe = try #require(try run.configured(keys) as? any SettledRecipe)
            let memory = try recipe.networks(options(0)).memory
            let update = memory.bytes(at: .update) - memory.mapped
            let failure = try run.failure(keys, options: options(update * 112 / 100 + 4096))
            #expect(failure.advice == "it would fit with preview_steps: 0", "\(failure)")
            try run(keys.merging(["preview_steps": "0"]) { $1 }, options: options(update * 112 / 100 + 4096))
        }
    }
}
