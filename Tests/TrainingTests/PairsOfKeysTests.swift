import Testing
import Torch

@testable import Training

extension TrainingRuns {
    /// Keys that contradict each other or cannot be: number types, steps, parts, checkpointing and optimizers.
    @Suite struct PairsOfKeys {
        struct Pair: CustomTestStringConvertible {
            let recipe: Recipe
            let keys: [String: String]
            let says: String

            init(_ recipe: Recipe, _ keys: [String: String], _ says: String) {
                (self.recipe, self.keys, self.says) = (recipe, keys, says)
            }

            var testDescription: String { "\(recipe) \(keys.sorted { $0.key < $1.key })" }
        }

        private static let types: [Pair] = [
            .init(.lora, ["dtype": "float16"], "65504"), .init(.controlnet, ["dtype": "fp16"], "65504"),
            .init(.finetune, ["dtype": "half"], "65504"), .init(.stageB, ["dtype": "float16"], "65504"),
            .init(.lora, ["compute_dtype": "float16"], "65504"), .init(.finetune, ["compute_dtype": "fp16"], "65504"),
            .init(.finetune, ["weights_dtype": "float16"], "65504"), .init(.stageB, ["weights_dtype": "half"], "65504"),
            .init(.lora, ["dtype": "auto"], "float32, bfloat16"), .init(.lora, ["dtype": "int8"], "float32, bfloat16"),
            .init(.lora, ["dtype": "[bfloat16]"], "float32, bfloat16"),
            .init(.controlnet, ["compute_dtype": "int8"], "auto, float32, bfloat16"),
            .init(.finetune, ["compute_dtype": "tf32"], "auto, float32, bfloat16"),
            .init(.stageB, ["compute_dtype": "true"], "auto, float32, bfloat16"),
            .init(.finetune, ["weights_dtype": "auto"], "float32, bfloat16"),
            .init(.finetune, ["weights_dtype": "int8"], "float32, bfloat16"),
            .init(.stageB, ["weights_dtype": "nf4"], "float32, bfloat16"),
            .init(.lora, ["weights_dtype": "bfloat16"], "trained whole"),
            .init(.lora, ["weights_dtype": "float32"], "trained whole"),
            .init(.controlnet, ["weights_dtype": "bfloat16", "dtype": "bfloat16"], "trained whole"),
        ]

        private static let steps: [Pair] = [
            .init(.lora, ["fused_backward": "true"], "trained whole"),
            .init(.controlnet, ["fused_backward": "true", "grad_accum_steps": "2"], "trained whole"),
            .init(.finetune, ["fused_backward": "true", "grad_accum_steps": "2"], "grad_accum_steps: 1"),
            .init(.finetune, ["fused_backward": "true", "grad_accum_steps": "4"], "grad_accum_steps: 1"),
            .init(.stageB, ["fused_backward": "true", "grad_accum_steps": "2"], "grad_accum_steps: 1"),
            .init(
                .stageB, ["fused_backward": "true", "grad_accum_steps": "2", "weights_dtype": "bfloat16"],
                "grad_accum_steps: 1"),
            .init(
                .finetune, ["fused_backward": "true", "grad_accum_steps": "2", "gradient_checkpointing": "true"],
                "grad_accum_steps: 1"),
            .init(.finetune, ["fused_backward": "true", "optimizer": "prodigy"], "prodigy"),
            .init(.finetune, ["fused_backward": "true", "optimizer": "{name: prodigy, d0: 0.001}"], "prodigy"),
            .init(.stageB, ["fused_backward": "true", "optimizer": "prodigy"], "prodigy"),
            .init(.finetune, ["weights_dtype": "bfloat16", "optimizer": "prodigy"], "prodigy"),
            .init(.stageB, ["weights_dtype": "bfloat16", "optimizer": "{name: prodigy}"], "prodigy"),
            .init(
                .finetune, ["weights_dtype": "bfloat16", "fused_backward": "true", "optimizer": "prodigy"], "prodigy"),
            .init(.finetune, ["fused_backward": "2"], "true or false"),
            .init(.finetune, ["fused_backward": "auto"], "true or false"),
            .init(.stageB, ["fused_backward": "[true]"], "true or false"),
            .init(.finetune, ["fused_backward": "true", "gradient_clip": "0"], "gradient_clip"),
            .init(.finetune, ["grad_accum_steps": "3"], "multiple of 3"),
            .init(.lora, ["grad_accum_steps": "8"], "multiple of 8"),
            .init(.controlnet, ["grad_accum_steps": "0"], "at least 1"),
            .init(.finetune, ["grad_accum_steps": "2.5"], "whole number"),
            .init(.lora, ["grad_accum_steps": "sometimes"], "auto, or a whole number"),
            .init(.lora, ["base_dtype": "sometimes"], "auto, one of bfloat16"),
            .init(.finetune, ["base_dtype": "auto"], "no base"),
            .init(.lora, ["gradient_checkpointing": "sometimes"], "auto, true or false"),
            .init(.finetune, ["gradient_checkpointing": "2"], "auto, true or false"),
            .init(.stageB, ["gradient_checkpointing": "[auto]"], "auto, true or false"),
        ]

        private static let offload: [Pair] = [
            .init(.lora, ["offload": "auto"], "base_dtype: nf4"),
            .init(.controlnet, ["offload": "2"], "base_dtype: nf4"),
            .init(.lora, ["offload": "0"], "auto, or a whole number"),
            .init(.lora, ["offload": "some"], "auto, or a whole number"),
            .init(.controlnet, ["offload": "auto", "use_fsdp": "true"], "use_fsdp: false"),
            .init(.finetune, ["offload": "auto"], "frozen base"), .init(.stageB, ["offload": "4"], "frozen base"),
        ]

        private static let optimizers: [Pair] = [
            .init(.lora, ["optimizer": "sgd"], "adamw_8bit"),
            .init(.finetune, ["optimizer": "{name: adamw, beta1: 0.9}"], "beta1"),
            .init(.finetune, ["optimizer": "{name: adamw, min_8bit_size: 1}"], "min_8bit_size"),
            .init(.finetune, ["optimizer": "{name: adamw_8bit, min_8bit_size: 0}"], "at least 1"),
            .init(.finetune, ["optimizer": "{name: adamw, betas: [0.9]}"], "betas"),
            .init(.finetune, ["optimizer": "{name: adafactor, warmup_init: true}"], "relative_step"),
            .init(.finetune, ["optimizer": "{name: adafactor, betas: [0.9, 0.999]}"], "betas"),
            .init(.finetune, ["optimizer": "{betas: [0.9, 0.999]}"], "name"),
            .init(.lora, ["optimizer": "prodigy", "lora_lr": "0.5"], "lora_lr"),
            .init(.lora, ["optimizer": "prodigy", "token_lr": "0.5"], "token_lr"),
            .init(.finetune, ["weights_dtype": "bfloat16", "ema_beta": "0.9"], "ema_start_iters"),
            .init(.finetune, ["fused_backward": "true", "ema_iters": "10"], "ema_start_iters"),
            .init(.finetune, ["ema_start_iters": "0", "ema_beta": "2"], "from 0"),
        ]

        static var all: [Pair] { types + steps + offload + optimizers }

        @Test(arguments: all)
        func `one clear line says what is wrong and what would do`(pair: Pair) throws {
            let failure = try Run(pair.recipe).failure(pair.keys)
            let line = "\(failure) \(failure.advice ?? "")"
            #expect(failure.blame == .input && failure.place?.file == "run.yaml", "\(failure)")
            #expect(failure.place?.line != nil && failure.expected != nil || failure.advice != nil, "\(failure)")
            #expect(line.contains(pair.says), "\(line)")
            #expect(!line.contains("\n"))
        }

        @Test func `there are fifty of them`() { #expect(Self.all.count >= 50) }
    }

    /// What number types and checkpointing come to.
    @Suite struct SettledKeys {
        @Test func `auto is bfloat16 where the device is fast at it, and what is written holds`() {
            #expect(ComputePrecision.auto.dtype(on: .cpu) == (Processor.isFastAtBFloat16 ? .bfloat16 : .float32))
            #expect(ComputePrecision.float32.dtype(on: .cpu) == .float32)
            #expect(ComputePrecision.bfloat16.dtype(on: .cpu) == .bfloat16)
            // There is no such device.
            #expect(ComputePrecision.auto.dtype(on: .cuda(77)) == .float32)
        }

        @Test(arguments: [Recipe.finetune, .lora, .controlnet, .stageB])
        func `every recipe computes in what is asked for`(recipe: Recipe) throws {
            let runs = try ["float32", "bfloat16"].map { compute in
                let run = try Run(recipe)
                try run(["compute_dtype": compute, "updates": "2"])
                return try run.metrics().compactMap { $0["raw_loss"]?.doubleValue }
            }
            // bfloat16 has eight bits, so a loss is off, but by no more than a few hundredths.
            #expect(runs[0].count == 2 && runs[0] != runs[1])
            for (whole, half) in zip(runs[0], runs[1]) { #expect(abs(whole - half) < 0.05 * whole) }
        }

        @Test func `the free memory is what the kernel and the cgroups leave`() throws {
            let files = [
                "/proc/meminfo": "MemTotal: 100 kB\nMemAvailable:   9000 kB\n", "/proc/self/cgroup": "0::/a/b\n",
                "/sys/fs/cgroup/a/memory.max": "4000000\n", "/sys/fs/cgroup/a/memory.current": "3000000\n",
                "/sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 200000\nactive_file 100000\n",
                "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/b/memory.current": "2000000\n",
            ]
            #expect(FreeMemory.bytes { files[$0] } == 1_300_000)
            #expect(FreeMemory.bytes { $0 == "/proc/meminfo" ? files[$0] : nil } == 9000 << 10)
            #expect(FreeMemory.bytes { _ in nil } == nil)
            #expect(FreeMemory.bytes(on: .cuda(0)) == nil)
            #expect(try #require(FreeMemory.bytes(on: .cpu)) > 0)
        }

        @Test(arguments: [Recipe.finetune, .lora, .controlnet, .stageB])
        func `automatic checkpointing says what it chose and trains the same`(recipe: Recipe) throws {
            let (automatic, plain) = (try Run(recipe), try Run(recipe))
            try automatic(["gradient_checkpointing": "auto", "updates": "2"])
            try plain(["updates": "2"])
            // A tiny network fits.
            #expect(automatic.lines.contains { $0.hasPrefix("gradient_checkpointing: auto is false") })
            #expect(try automatic.bytes(automatic.weights) == plain.bytes(plain.weights))
        }
    }
}
