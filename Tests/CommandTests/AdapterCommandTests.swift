import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Weights

/// `export` and `inspect`, and native files in `forward`.
@Suite struct AdapterCommandTests {
    private static let loraMetadata = [
        "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "4", "alpha": "8.0",
        "base_model": "tiny", "base_licence": "that of the base", "trained_steps": "12",
        "module_filters": #"[".attn","channelwise"]"#,
    ]

    @Test func `export takes the adapter out of a run's folder`() throws {
        let scratch = try Scratch()
        let golden = try Golden("gradients_lora")
        let lora = try scratch.write(golden.part("adapter"), metadata: Self.loraMetadata, to: "lora.safetensors")
        _ = try scratch.write("{}", to: "info.json")
        let out = scratch["out.safetensors"]
        #expect(try expectSuccess(["export", scratch.path, "-o", out]).contains(out))
        let (from, to) = (try SafetensorsFile(lora), try SafetensorsFile(out))
        #expect(to.metadata == Self.loraMetadata)
        #expect(Set(to.entries.map(\.name)) == Set(from.entries.map(\.name)))
        for entry in from.entries {
            #expect(try to.required(entry.name).values(as: Float.self) == from.required(entry.name).values())
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: out)) == Data(contentsOf: URL(fileURLWithPath: lora)))

        _ = try scratch.write(golden.part("adapter"), metadata: Self.loraMetadata, to: "controlnet.safetensors")
        try expectRefusal(["export", scratch.path, "-o", out], saying: "two adapters")
    }

    @Test func `export refuses what is no adapter`() throws {
        let (scratch, empty) = (try Scratch(), try Scratch())
        let weights = try scratch.write(["blocks.0.weight": Golden.Tensor([1], [1])], to: "w.safetensors")
        try expectRefusal(["export", weights, "-o", scratch["o"]], saying: "not an adapter", weights)
        try expectRefusal(["export", empty.path, "-o", scratch["o"]], saying: "no adapter", "lora.safetensors")
        try expectRefusal(["export", scratch["none"], "-o", scratch["o"]], saying: "none")
        #expect(!FileManager.default.fileExists(atPath: scratch["o"]))
    }

    @Test func `inspect says what adapters are`() throws {
        let scratch = try Scratch()
        let golden = try Golden("gradients_lora")
        let lora = try scratch.write(golden.part("adapter"), metadata: Self.loraMetadata, to: "lora.safetensors")
        let text = try expectSuccess(["inspect", lora])
        for part in ["lora", "rank: 4", "alpha: 8.0", "trained_steps: 12", "base_model: tiny", "that of the base"] {
            #expect(text.contains(part), "\(text)")
        }
        let lines = try expectSuccess(["inspect", lora, lora, "--json", "--tensors"]).split(separator: "\n")
        #expect(lines.count == 2)
        let report = try JSON.parse(String(lines[0]), file: "report")
        #expect(report["kind"]?.stringValue == "adapter-lora")
        let tensors = golden.part("adapter")
        #expect(report["tensors"]?.intValue == tensors.count)
        #expect(report["parameters"]?.intValue == tensors.values.reduce(0) { $0 + $1.floats.count })
        #expect(report["dtypes"]?["float32"]?.intValue == tensors.count)
        #expect(report["metadata"]?["module_filters"]?[1]?.stringValue == "channelwise")
        #expect(report["entries"]?.arrayValue?.count == tensors.count)
    }

    @Test(arguments: [
        ("clip_txt_mapper.weight", [2048, 4], "stage-c", "3.6B"),
        ("clip_txt_mapper.weight", [1536, 4], "stage-c", "1B"),
        ("weights.0.lora_down", [4, 4], "lora-reference", nil), ("vquantizer.codebook.weight", [4, 4], "stage-a", nil),
        ("lora_unet_x.lora_down.weight", [1, 1], "lora-kohya", nil), ("anything", [1], "unknown", nil),
    ]) func `inspect tells files apart`(_ key: String, _ shape: [Int], _ kind: String, _ size: String?) throws {
        let scratch = try Scratch()
        let values = [Float](repeating: 0, count: shape.reduce(1, *))
        let path = try scratch.write([key: Golden.Tensor(values, shape)], to: "w.safetensors")
        let report = try JSON.parse(try expectSuccess(["inspect", path, "--json"]), file: "report")
        #expect(report["kind"]?.stringValue == kind)
        #expect(report["model_version"]?.stringValue == size)
    }

    @Test func `a native ControlNet is its own architecture`() throws {
        let scratch = try Scratch()
        let golden = try Golden("controlnet_simple")
        let weights = try scratch.write(
            golden.part("weights"),
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "controlnet", "c_in": "4",
                "c_proj": "24", "controlnet_blocks": "[1,2]", "bottleneck_mode": "simple",
            ], to: "controlnet.safetensors")
        let inputs = try scratch.write(golden.part("in"), to: "in.safetensors")
        try expectSuccess([
            "forward", "controlnet", "--inputs", inputs, "--weights", weights, "--outputs", scratch["out.safetensors"],
        ])
        let out = try SafetensorsFile(scratch["out.safetensors"])
        #expect(Set(out.entries.map(\.name)) == ["cnet.1", "cnet.2"])
    }

    @Test func `a LoRA in the place of a ControlNet is named`() throws {
        let scratch = try Scratch()
        let lora = try scratch.write(
            Golden("gradients_lora").part("adapter"), metadata: Self.loraMetadata, to: "lora.safetensors")
        let golden = try Golden("controlnet_simple")
        let inputs = try scratch.write(golden.part("in"), to: "in.safetensors")
        let arch = try scratch.write(golden.arch, to: "arch.json")
        try expectRefusal(
            [
                "forward", "controlnet", "--inputs", inputs, "--weights", lora, "--arch", arch, "--outputs",
                scratch["out"],
            ], saying: "an adapter lies in the place", "lora_down")
    }

    @Test func `a weight scales what an adapter adds`() throws {
        let scratch = try Scratch()
        let golden = try Golden("gradients_lora")
        let lora = try scratch.write(golden.part("adapter"), metadata: Self.loraMetadata, to: "lora.safetensors")
        let common = [
            "forward", "stage-c", "--inputs",
            try scratch.write(golden.part("in").filter { $0.key != "target" }, to: "in.safetensors"), "--arch",
            try scratch.write(golden.arch, to: "arch.json"), "--weights",
            try scratch.write(golden.part("weights"), to: "w.safetensors"), "--outputs", scratch["out.safetensors"],
        ]
        func values(_ options: [String]) throws -> [Float] {
            try expectSuccess(common + options)
            return try SafetensorsFile(scratch["out.safetensors"]).required("out").values()
        }
        let (plain, off, full) = (
            try values([]), try values(["--adapter", "\(lora):0"]), try values(["--adapter", "\(lora):1"])
        )
        #expect(off == plain)
        #expect(full != plain)
        #expect(try values(["--adapter", lora]) == full)
        #expect(try values(["--adapter", "\(lora):0.5"]) != full)
        // bfloat16 keeps two to three digits.
        let coarse = try values(["--adapter", lora, "--dtype", "bfloat16"])
        let largest = full.map(abs).max() ?? 0
        #expect(zip(coarse, full).allSatisfy { abs($0 - $1) < 0.1 * largest })
        #expect(coarse != full)
    }
}
