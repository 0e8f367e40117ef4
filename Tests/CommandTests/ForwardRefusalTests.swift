import Foundation
import TestSupport
import Testing

/// What `forward` refuses, and how.
@Suite struct ForwardRefusalTests {
    /// A tiny Stage C in files: all that `forward stage-c` needs.
    private struct StageCFiles {
        let scratch: Scratch
        let golden: Golden
        let arch: String
        let weights: String
        let inputs: String

        init() throws {
            scratch = try Scratch()
            golden = try Golden("stage_c_injections")
            arch = try scratch.write(golden.arch, to: "arch.json")
            weights = try scratch.write(golden.part("weights"), to: "weights.safetensors")
            inputs = try scratch.write(golden.part("in"), to: "in.safetensors")
        }

        func arguments(arch: String? = nil, weights: String? = nil, inputs: String? = nil) -> [String] {
            [
                "forward", "stage-c", "--inputs", inputs ?? self.inputs, "--outputs", scratch["out.safetensors"],
                "--arch", arch ?? self.arch, "--weights", weights ?? self.weights,
            ]
        }

        /// The golden's tensors of a part after a change.
        func changed(_ part: String, _ change: (inout [String: Golden.Tensor]) -> Void) throws -> String {
            var tensors = golden.part(part)
            change(&tensors)
            return try scratch.write(tensors, to: "changed.safetensors")
        }
    }

    @Test func `arch keys and values are checked at their place`() throws {
        let files = try StageCFiles()
        func refuse(_ text: String, saying parts: String...) throws {
            let arch = try files.scratch.write(text, to: "arch.yaml")
            let outcome = try Command.run(files.arguments(arch: arch))
            #expect(outcome.exited && outcome.status == 2 && outcome.errorLines.count <= 2, "\(outcome)")
            for part in parts { #expect(outcome.errors.contains(part), "\(outcome)") }
        }
        try refuse("c_in: 4\nc_hiden: [8, 16]\n", saying: "arch.yaml:2:1", "c_hiden", "\"c_hidden\"")
        try refuse("c_in: four\n", saying: "arch.yaml:1:7", "a whole number", "four")
        try refuse("c_in: [\n", saying: "arch.yaml:2")
        try refuse("c_hidden: [9999999, 8]\n", saying: "c_hidden")
        // Declared sizes cost nothing: these weights would be terabytes.
        let wide = [
            ("[8, 16]", "[65536, 65536]"), ("\"nhead\": [1, 2]", "\"nhead\": [1, 1]"),
            ("\"kernel_size\": 3", "\"kernel_size\": 65535"),
        ].reduce(files.golden.arch) { $0.replacingOccurrences(of: $1.0, with: $1.1) }
        try refuse(wide, saying: "weights do not fit", "[65536, 1, 65535, 65535] belongs")
        try refuse("level_config: ['', 'CTA']\n", saying: "level_config")
        try refuse("nhead: [3, 2]\nc_hidden: [8, 16]\n", saying: "nhead")
        try refuse("blocks: [[1, 2]]\n", saying: "blocks")
        try refuse("- 1\n", saying: "a mapping")
        try expectRefusal(files.arguments(arch: files.scratch["none.yaml"]), saying: "none.yaml")
        try expectRefusal(files.arguments(arch: files.scratch.path), saying: files.scratch.path)
    }

    @Test func `inputs that are missing, unknown or mis-shaped are listed together`() throws {
        let files = try StageCFiles()
        let inputs = try files.changed("in") {
            $0["r"] = nil
            $0["clip_txt"] = Golden.Tensor([0], [1])
            $0["clip_img"] = Golden.Tensor([0, 0], [1, 2])
        }
        try expectRefusal(
            files.arguments(inputs: inputs), saying: "missing: r", "unknown: clip_txt", "not fitting: clip_img [1, 2]")
        let empty = try files.changed("in") { $0 = ["x": Golden.Tensor([], [0, 4, 6, 5])] }
        try expectRefusal(files.arguments(inputs: empty), saying: "x [0, 4, 6, 5]")
    }

    @Test func `an injection past the last block is refused`() throws {
        let files = try StageCFiles()
        let past = try files.changed("in") { $0["cnet.6"] = $0["cnet.5"] }
        try expectRefusal(files.arguments(inputs: past), saying: "cnet.6", "cnet.0 to cnet.5")
        let wide = try files.changed("in") {
            $0["cnet.1"] = Golden.Tensor([Float](repeating: 0, count: 6), [2, 3, 1, 1])
        }
        try expectRefusal(files.arguments(inputs: wide), saying: "block 1", "channels")
        let odd = try files.changed("in") { $0["cnet.01"] = $0["cnet.5"] }
        try expectRefusal(files.arguments(inputs: odd), saying: "unknown: cnet.01")
    }

    @Test func `weights that are missing, unexpected or mis-shaped are listed together`() throws {
        let files = try StageCFiles()
        let weights = try files.changed("weights") {
            $0["clf.1.bias"] = nil
            $0["clf.1.bias_"] = Golden.Tensor([0], [1])
            $0["embedding.1.bias"] = Golden.Tensor([0], [1])
        }
        try expectRefusal(
            files.arguments(weights: weights), saying: "1 missing (clf.1.bias)", "1 unexpected (clf.1.bias_)",
            "embedding.1.bias [1] where [8]")
        try expectRefusal(Array(files.arguments().dropLast(2)), saying: "--weights")
    }

    @Test func `latents of an impossible size are refused`() throws {
        let files = try StageCFiles()
        let arch = try files.scratch.write(
            files.golden.arch.replacingOccurrences(of: "\"patch_size\": 1", with: "\"patch_size\": 4"), to: "patch.json"
        )
        let weights = try files.changed("weights") {
            $0["embedding.1.weight"] = Golden.Tensor([Float](repeating: 0, count: 512), [8, 64, 1, 1])
            $0["clf.1.weight"] = Golden.Tensor([Float](repeating: 0, count: 512), [64, 8, 1, 1])
            $0["clf.1.bias"] = Golden.Tensor([Float](repeating: 0, count: 64), [64])
        }
        try expectRefusal(files.arguments(arch: arch, weights: weights), saying: "multiple of 4")
    }

    @Test func `damaged and unreadable files are refused`() throws {
        let files = try StageCFiles()
        let whole = try Data(contentsOf: URL(fileURLWithPath: files.weights))
        for length in [0, 4, 8, 100, whole.count / 2, whole.count - 1] {
            let cut = files.scratch["cut.safetensors"]
            try whole.prefix(length).write(to: URL(fileURLWithPath: cut))
            try expectRefusal(files.arguments(weights: cut), saying: "cut.safetensors")
        }
        let noise = files.scratch["noise.safetensors"]
        try Data(repeating: 0xFF, count: 64).write(to: URL(fileURLWithPath: noise))
        try expectRefusal(files.arguments(inputs: noise), saying: "noise.safetensors")
        try expectRefusal(files.arguments(weights: files.scratch["none"]), saying: "none")
    }

    @Test func `a place that can't be written is refused, and nothing is left there`() throws {
        let files = try StageCFiles()
        var arguments = files.arguments()
        arguments[5] = files.scratch["no/such/folder/out.safetensors"]
        try expectRefusal(arguments, saying: "no/such/folder")
        arguments[5] = files.scratch.path
        try expectRefusal(arguments, saying: files.scratch.path)
    }

    @Test func `options that a part does not take are refused`() throws {
        let files = try StageCFiles()
        func forward(_ part: String, _ more: [String]) -> [String] {
            ["forward", part, "--inputs", files.inputs, "--outputs", files.scratch["o"]] + more
        }
        try expectRefusal(forward("effnet", ["--gradients"]), saying: "--gradients")
        try expectRefusal(forward("diffuse", ["--weights", files.weights]), saying: "--weights")
        try expectRefusal(forward("previewer", ["--adapter", files.weights]), saying: "--adapter")
        try expectRefusal(files.arguments() + ["--adapter", files.weights], saying: "native")
        try expectRefusal(files.arguments() + ["--device", "gpu"], saying: "gpu", "cuda:N")
        try expectRefusal(files.arguments() + ["--threads", "0"], saying: "--threads")
        try expectRefusal(files.arguments() + ["--dtype", "float16"], saying: "float16", "bfloat16")
    }

    @Test func `names that diffuse does not know are refused at their place`() throws {
        let scratch = try Scratch()
        let golden = try Golden("diffuse_default")
        let inputs = try scratch.write(golden.part("in"), to: "in.safetensors")
        for (text, parts) in [
            ("schedule: cosin\n", ["arch.yaml:1:11", "cosine", "cosin"]),
            ("loss_weight: {name: p2, kk: 2}\n", ["arch.yaml:1:25", "kk", "\"k\""]),
            ("loss_weight: {k: 2}\n", ["name"]), ("scaler: vpp\n", ["vp", "lerp"]), ("shift: 0\n", ["shift"]),
            ("schedule: {name: cosine, clamp_range: [0.9, 0.1]}\n", ["clamp_range"]),
            ("offset_noise: 0.1\n", ["missing: offset"]),
        ] {
            let arch = try scratch.write(text, to: "arch.yaml")
            let outcome = try Command.run([
                "forward", "diffuse", "--inputs", inputs, "--outputs", scratch["o"], "--arch", arch,
            ])
            #expect(outcome.exited && outcome.status == 2 && outcome.errorLines.count <= 2, "\(outcome)")
            for part in parts { #expect(outcome.errors.contains(part), "\(outcome)") }
        }
    }

    @Test func `a ControlNet's targets are its blocks'`() throws {
        let scratch = try Scratch()
        let golden = try Golden("gradients_controlnet_simple")
        func arguments(_ change: (inout [String: Golden.Tensor]) -> Void) throws -> [String] {
            var inputs = golden.part("in")
            change(&inputs)
            return [
                "forward", "controlnet", "--gradients", "--inputs", try scratch.write(inputs, to: "in.safetensors"),
                "--outputs", scratch["o"], "--arch", try scratch.write(golden.arch, to: "arch.json"), "--weights",
                try scratch.write(golden.part("weights"), to: "w.safetensors"),
            ]
        }
        try expectRefusal(arguments { $0["target.3"] = nil }, saying: "missing: target.3")
        try expectRefusal(arguments { $0["target.1"] = $0["target.0"] }, saying: "unknown: target.1")
        try expectRefusal(
            arguments { inputs in
                for key in ["target.0", "target.3"] {
                    inputs[key] = Golden.Tensor([Float](repeating: 0, count: 48), [2, 24, 1, 1])
                }
            }, saying: "target.0", "[2, 24, 7, 5]")
    }

    @Test func `ids past the vocabulary are refused`() throws {
        let scratch = try Scratch()
        let golden = try Golden("clip_text_end_token")
        let weights = try scratch.write(golden.part("weights"), to: "w.safetensors")
        let arch = try scratch.write(golden.arch, to: "arch.json")
        for ids: [Int64] in [[47, 52], [-1, 48]] {
            let inputs = try scratch.write(
                [
                    "tokens": .init(shape: [1, 2], elements: .int64(ids)),
                    "attention_mask": .init(shape: [1, 2], elements: .int64([1, 1])),
                ], to: "in.safetensors")
            try expectRefusal(
                [
                    "forward", "clip-text", "--inputs", inputs, "--outputs", scratch["o"], "--arch", arch, "--weights",
                    weights,
                ], saying: "tokens", "0 to 51")
        }
    }
}
