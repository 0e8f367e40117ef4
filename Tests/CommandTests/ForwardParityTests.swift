import Foundation
import TestSupport
import Testing
import Torch
import Weights

/// `forward` against what the peers of `Tests/Goldens` say.
@Suite struct ForwardParityTests {
    /// Runs `forward` on a golden and holds every `out.*` to its bar.
    private func check(
        _ name: String, bar: Double, options: [String] = [], only: (String) -> Bool = { _ in true },
        inputs keep: (String) -> Bool = { _ in true }
    ) throws {
        let golden = try Golden(name)
        let scratch = try Scratch()
        let arch = try scratch.write(golden.arch, to: "arch.json")
        let inputs = try scratch.write(golden.part("in").filter { keep($0.key) }, to: "in.safetensors")
        var arguments = [
            "forward", try #require(golden.metadata["module"]), "--inputs", inputs, "--arch", arch, "--outputs",
            scratch["out.safetensors"],
        ]
        if !golden.part("weights").isEmpty {
            arguments += ["--weights", try scratch.write(golden.part("weights"), to: "weights.safetensors")]
        }
        if !golden.part("adapter").isEmpty {
            let metadata = try [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora",
                "rank": #require(golden.metadata["rank"]), "alpha": #require(golden.metadata["alpha"]),
            ]
            arguments += [
                "--adapter", try scratch.write(golden.part("adapter"), metadata: metadata, to: "lora.safetensors"),
            ]
        }
        try expectSuccess(arguments + options)
        let file = try SafetensorsFile(scratch["out.safetensors"])
        let expected = golden.part("out").filter { only($0.key) }
        #expect(Set(file.entries.map(\.name)) == Set(expected.keys))
        for (key, tensor) in expected {
            let values = try file.required(key).values(as: Float.self)
            #expect(values.count == tensor.floats.count)
            let difference = zip(values, tensor.floats).map { Double(abs($0 - $1)) }.max() ?? .infinity
            #expect(difference <= bar * Self.deviation(of: tensor.floats), "\(name) \(key)")
        }
    }

    private static func deviation(of values: [Float]) -> Double {
        let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
        let square = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)
        return square > 1e-12 ? square.squareRoot() : Swift.max(abs(mean), 1)
    }

    @Test(arguments: [
        "plain", "injections", "switch_level", "no_self_attention", "repeats", "three_levels",
    ]) func `stage-c is diffusers'`(_ name: String) throws {
        try check("stage_c_\(name)", bar: 2e-4)
    }

    @Test(arguments: ["plain", "repeats", "odd_sides", "switch_level"]) func `stage-b is diffusers'`(_ name: String)
        throws
    {
        try check("stage_b_\(name)", bar: 2e-4)
    }

    @Test func `stage-a-encode and stage-a-decode are diffusers'`() throws {
        try check("stage_a_encode", bar: 2e-4)
        try check("stage_a_decode", bar: 2e-4)
    }

    @Test(arguments: ["gelu", "uneven"]) func `clip-vision is transformers'`(_ name: String) throws {
        try check("clip_vision_\(name)", bar: 2e-4)
    }

    @Test(arguments: ["stage_b_plain", "stage_a_encode", "stage_a_decode", "clip_vision_gelu"])
    func `parts in bfloat16 stay near their peers`(_ name: String) throws {
        // Of the largest difference; the typical one is a third of it.
        try check(name, bar: 0.1, options: ["--dtype", "bfloat16"])
    }

    @Test func `previewer and simple trunk are PyTorch's`() throws {
        try check("previewer", bar: 2e-4)
        try check("controlnet_simple", bar: 1e-3)
    }

    @Test(arguments: ["largest_token", "end_token"]) func `clip-text is transformers'`(_ name: String) throws {
        try check("clip_text_\(name)", bar: 2e-4)
    }

    @Test(arguments: ["default", "shift", "offset_noise", "clamp_range", "constant", "min_snr", "snr", "adaptive"])
    func `diffuse is the formulas'`(_ name: String) throws {
        // 1 - variance keeps three digits in float32 where t is 0, as in the reference.
        try check("diffuse_\(name)", bar: 1e-3)
    }

    @Test func `twenty guided steps are diffusers' network in a loop`() throws {
        try check("sample", bar: 1e-3)
    }

    @Test(arguments: ["gradients_lora", "gradients_lora_convolutions"])
    func `the gradients of a LoRA are autograd's`(_ name: String) throws {
        try check(name, bar: 1e-3, options: ["--gradients"], only: { $0 != "out" })
        try check(name, bar: 2e-4, only: { $0 == "out" }, inputs: { $0 != "target" })
    }

    @Test func `the gradients of a ControlNet are autograd's`() throws {
        try check(
            "gradients_controlnet_simple", bar: 1e-3, options: ["--gradients"], only: { !$0.hasPrefix("cnet.") })
    }

    @Test(arguments: ["end_token", "largest_token"]) func `clip-text takes learned tokens`(_ name: String) throws {
        let golden = try Golden("gradients_tokens_\(name)")
        let scratch = try Scratch()
        let weights = golden.part("weights")
        let table = try #require(weights["text_model.embeddings.token_embedding.weight"])
        let tokens = golden.part("tokens")
        guard case .int64(let ids) = try #require(tokens["indices"]).elements else { return }
        let width = table.shape[1]
        let start = ids.flatMap { table.floats[Int($0) * width..<(Int($0) + 1) * width] }
        let described = ids.map { #"{"text": "t\#($0)", "id": \#($0), "new": false, "pattern": null}"# }
        let metadata = [
            "format": "cascade-adapt-adapter", "format_version": "1", "kind": "tokens",
            "tokens": "[\(described.joined(separator: ", "))]",
        ]
        let adapter = try scratch.write(
            ["tokens.start": .init(start, [ids.count, width]), "tokens.delta": try #require(tokens["deltas"])],
            metadata: metadata, to: "tokens.safetensors")
        let inputs = golden.part("in").filter { !$0.key.hasPrefix("target.") }
        try expectSuccess([
            "forward", "clip-text", "--inputs", scratch.write(inputs, to: "in.safetensors"), "--arch",
            scratch.write(golden.arch, to: "arch.json"), "--weights", scratch.write(weights, to: "w.safetensors"),
            "--adapter", adapter, "--outputs", scratch["out.safetensors"],
        ])
        let file = try SafetensorsFile(scratch["out.safetensors"])
        for key in ["hidden", "pooled"] {
            let expected = try #require(golden.part("out")[key]).floats
            let values = try file.required(key).values(as: Float.self)
            let difference = zip(values, expected).map { Double(abs($0 - $1)) }.max() ?? .infinity
            #expect(values.count == expected.count && difference <= 2e-4 * Self.deviation(of: expected))
        }
    }
}
