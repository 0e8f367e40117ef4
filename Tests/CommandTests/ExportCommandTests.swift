import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Weights

/// `export` to every format and back, by what `forward` makes of the files.
@Suite struct ExportCommandTests {
    /// The files of a golden with a LoRA, and what the peer's network answers with it.
    private struct World {
        let scratch: Scratch
        let lora: String
        let golden: Golden

        init(_ name: String, metadata: [String: String]) throws {
            scratch = try Scratch()
            golden = try Golden(name)
            lora = try scratch.write(golden.part("adapter"), metadata: metadata, to: "lora.safetensors")
            try scratch.write(golden.arch, to: "arch.json")
            _ = try scratch.write(golden.part("in").filter { $0.key != "target" }, to: "in.safetensors")
            _ = try scratch.write(golden.part("weights"), to: "w.safetensors")
        }

        /// The largest difference from the peer, over the largest value.
        func error(_ adapters: String...) throws -> Float {
            try expectSuccess(
                [
                    "forward", "stage-c", "--inputs", scratch["in.safetensors"], "--arch", scratch["arch.json"],
                    "--weights", scratch["w.safetensors"], "--outputs", scratch["out.safetensors"],
                ] + adapters.flatMap { ["--adapter", $0] })
            let ours = try SafetensorsFile(scratch["out.safetensors"]).required("out").values(as: Float.self)
            let theirs = try #require(golden.part("out")["out"]).floats
            try #require(ours.count == theirs.count)
            let apart = zip(ours, theirs).map { abs($0 - $1) }.max() ?? .infinity
            return apart / (theirs.map(abs).max() ?? 1)
        }
    }

    private static let native = [
        "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "4", "alpha": "8.0",
        "base_model": "tiny", "base_sha256": "ab", "trained_steps": "12", "module_filters": #"[".attn","channelwise"]"#,
    ]

    @Test(arguments: ["stability", "kohya", "comfyui", "diffusers"])
    func `a LoRA answers alike in every format, and comes back`(_ format: String) throws {
        let world = try World("gradients_lora", metadata: Self.native)
        let (out, back) = (world.scratch["\(format).safetensors"], world.scratch["back.safetensors"])
        let arch = ["--arch", world.scratch["arch.json"]]
        try expectSuccess(["export", world.lora, "-o", out, "--format", format] + arch)
        #expect(try world.error(out) < 1e-5)
        // Half of it twice is all of it.
        #expect(try world.error("\(out):0.5", "\(world.lora):0.5") < 1e-5)
        try expectSuccess(["export", out, "-o", back] + arch)
        let report = try JSON.parse(expectSuccess(["inspect", out, "--json"] + arch), file: "report")
        #expect(report["adapter"]?["problem"] == .null, "\(report.text())")
        if format == "stability" {
            let unknown = try JSON.parse(expectSuccess(["inspect", out, "--json"]), file: "report")
            #expect(unknown["adapter"]?["problem"]?.stringValue?.isEmpty == false)
        }
        #expect(try world.error(back) < 1e-5)
        let (first, last) = (try SafetensorsFile(world.lora), try SafetensorsFile(back))
        for key in ["base_model", "base_sha256", "trained_steps"] {
            #expect(last.metadata[key] == Self.native[key])
        }
        if format == "stability" { return }
        #expect(Set(first.entries.map(\.name)) == Set(last.entries.map(\.name)))
        for entry in first.entries {
            #expect(try last.required(entry.name).values(as: Float.self) == first.required(entry.name).values())
        }
    }

    @Test func `a LoRA that peft saved answers as it does there`() throws {
        let golden = try Golden("lora_peft")
        let text = try #require(golden.metadata["lora_adapter_metadata"])
        let world = try World("lora_peft", metadata: ["format": "pt", "lora_adapter_metadata": text])
        #expect(try world.error(world.lora) < 1e-5)
        let report = try JSON.parse(try expectSuccess(["inspect", world.lora, "--json"]), file: "report")
        #expect(report["kind"]?.stringValue == "lora-diffusers")
        #expect(report["adapter"]?["ranks"]?[0]?.intValue == 2)
        #expect(report["adapter"]?["alphas"]?[0]?.doubleValue == 3)
    }

    @Test func `a ControlNet goes where there is a place for it`() throws {
        let scratch = try Scratch()
        let weights = try scratch.write(
            Golden("controlnet_simple").part("weights"),
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "controlnet", "c_in": "4",
                "c_proj": "24", "controlnet_blocks": "[1,2]", "bottleneck_mode": "simple",
            ], to: "controlnet.safetensors")
        let out = scratch["out.safetensors"]
        for format in ["kohya", "diffusers"] {
            try expectRefusal(["export", weights, "-o", out, "--format", format], saying: "no ControlNet", format)
        }
        let outcome = try Command.run(["export", weights, "-o", out, "--format", "comfyui"])
        #expect(outcome.status == 0)
        for part in ["warning: ComfyUI", "[1, 2]", "24 channels", "simple"] { #expect(outcome.errors.contains(part)) }
        #expect(
            try SafetensorsFile(out).entries.allSatisfy {
                $0.name.hasPrefix("backbone.") || $0.name.hasPrefix("projections.")
            })
        // Which blocks the file is for has to be said again.
        try expectRefusal(["export", out, "-o", scratch["back"]], saying: "--blocks", "2 projections")
        try expectSuccess(["export", out, "-o", scratch["back"], "--blocks", "1,2"])
        let (first, last) = (try SafetensorsFile(weights), try SafetensorsFile(scratch["back"]))
        #expect(last.metadata["controlnet_blocks"] == "[1,2]" && last.metadata["c_in"] == "4")
        for entry in first.entries {
            #expect(try last.required(entry.name).values(as: Float.self) == first.required(entry.name).values())
        }
    }

    @Test func `arguments that cannot be are refused`() throws {
        let scratch = try Scratch()
        let lora = try scratch.write(
            Golden("gradients_lora").part("adapter"), metadata: Self.native, to: "lora.safetensors")
        let start = ["export", lora, "-o", scratch["out"]]
        try expectRefusal(start + ["--format", "stability"], saying: "--arch")
        try expectRefusal(start + ["--blocks", "a"], saying: "--blocks")
        try expectRefusal(start + ["--token", "rex"], saying: "--token")
        #expect(!FileManager.default.fileExists(atPath: scratch["out"]))
    }
}
