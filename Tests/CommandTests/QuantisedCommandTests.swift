import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Weights

/// `--base-dtype`, `models quantise`, and what commands say of a quantised file.
@Suite struct QuantisedCommandTests {
    private let scratch: Scratch
    private let world: WideWorld

    init() throws {
        scratch = try Scratch()
        world = try WideWorld(in: scratch)
        let generator = try Generator(seed: 3)
        let inputs = [
            ("x", [2, 16, 4, 4]), ("clip_text", [2, 5, 64]), ("clip_text_pooled", [2, 1, 64]), ("clip_img", [2, 1, 8]),
        ]
        try SafetensorsWriter.write(
            inputs.map { ($0.0, try generator.normal($0.1)) } + [("r", try Tensor([Float(0.3), 0.8]))],
            to: scratch["in.safetensors"])
        try SafetensorsWriter.write(
            [
                ("tokens", try Tensor([1, 5, 9, 2, 0, 75], shape: [1, 6])),
                ("attention_mask", try Tensor([1, 1, 1, 1, 1, 1], shape: [1, 6])),
            ], to: scratch["tokens.safetensors"])
    }

    /// What `forward` makes of some weights.
    private func forward(_ module: String, _ weights: String, _ options: String...) throws -> Tensor {
        let isText = module == "clip-text"
        let arch = isText ? "\(world.text)/config.json" : world.architecture
        try expectSuccess(
            [
                "forward", module, "--inputs", scratch[isText ? "tokens.safetensors" : "in.safetensors"], "--arch",
                arch,
                "--weights", weights, "--outputs", scratch["out.safetensors"],
            ] + options)
        return try SafetensorsFile(scratch["out.safetensors"]).required(isText ? "hidden" : "out").cloned()
    }

    private func distance(_ a: Tensor, _ b: Tensor) throws -> Double { try (a - b).norm().item() / b.norm().item() }

    private func quantise(_ input: String, _ dtype: String, to output: String, _ options: String...) throws -> String {
        try expectSuccess(["models", "quantise", input, "-o", output, "--base-dtype", dtype] + options)
    }

    @Test(arguments: [("int8", 0.03), ("nf4", 0.3)], ["stage-c", "clip-text"])
    func `the network is near, and its file is the same network`(form: (String, Double), module: String) throws {
        let (dtype, bar) = form
        let input = module == "stage-c" ? world.base : world.text
        let weights = module == "stage-c" ? input : "\(input)/model.safetensors"
        let plain = try forward(module, weights)
        let loaded = try forward(module, weights, "--base-dtype", dtype)
        let error = try distance(loaded, plain)
        #expect(error > 0 && error < bar, "\(error)")

        let output = scratch[module == "stage-c" ? "quantised.safetensors" : "quantised"]
        _ = try quantise(input, dtype, to: output)
        let file = module == "stage-c" ? output : "\(output)/model.safetensors"
        // Norms and biases are in bfloat16 there.
        #expect(try distance(forward(module, file), loaded) < 0.01)
        #expect(
            try distance(forward(module, file, "--dtype", "bfloat16"), plain) < bar + 0.03)
        let stored = try Tensors.open(file)
        #expect(stored.metadata["base_dtype"] == dtype && stored.metadata["quantised_from"]?.count == 64)
        let (before, after) = try (size(weights), size(file))
        #expect(after < before / 2)
        if module == "clip-text" {
            let names = try FileManager.default.contentsOfDirectory(atPath: output).sorted()
            #expect(names == ["config.json", "merges.txt", "model.safetensors", "vocab.json"])
        }
    }

    private func size(_ path: String) throws -> Int { try Data(contentsOf: URL(fileURLWithPath: path)).count }

    @Test func `inspect shows the form and counts the numbers`() throws {
        let file = scratch["nf4.safetensors"]
        let report = try JSON.parse(quantise(world.base, "nf4", to: file, "--json"), file: "report")
        #expect(report["part"]?.stringValue == "stage-c" && report["base_dtype"]?.stringValue == "nf4")
        #expect((report["matrices"]?.intValue ?? 0) > 20)
        func inspected(_ path: String) throws -> JSON {
            try JSON.parse(expectSuccess(["inspect", path, "--json"]), file: "inspect")
        }
        let (before, after) = try (inspected(world.base), inspected(file))
        #expect(before["base_dtype"] == nil && after["base_dtype"]?.stringValue == "nf4")
        #expect(before["parameters"] == after["parameters"] && before["kind"] == after["kind"])
        #expect(try expectSuccess(["inspect", file]).contains("matrices in nf4"))
    }

    @Test func `plan counts the bytes of the form`() throws {
        func planned(_ changes: [String: String]) throws -> JSON {
            let keys = TinyWorld.lora.merging(world.keys) { $1 }.merging(changes) { $1 }
            try scratch.write(try TinyWorld.shared().configuration(in: scratch, keys), to: "run.yaml")
            return try JSON.parse(expectSuccess(["plan", scratch["run.yaml"], "--json"]), file: "plan")
        }
        func part(_ name: String, _ plan: JSON) -> (bytes: Int, isMapped: Bool) {
            let parts = plan["memory"]?["parts"]?.arrayValue ?? []
            let part = parts.first { $0["name"]?.stringValue == name }
            return (part?["bytes"]?.intValue ?? 0, part?["mapped"] == .bool(true))
        }
        _ = try quantise(world.base, "nf4", to: scratch["nf4.safetensors"])
        let whole = try planned(["dtype": "float32"])
        let loaded = try planned(["base_dtype": "nf4"])
        let mapped = try planned(["dtype": "bfloat16", "generator_checkpoint_path": scratch["nf4.safetensors"]])
        #expect(part("base", whole).isMapped && !part("base", loaded).isMapped && part("base", mapped).isMapped)
        #expect(part("base", loaded).bytes < part("base", whole).bytes / 3)
        #expect(part("base", mapped).bytes == part("base", loaded).bytes)
        #expect(part("text", loaded).bytes < part("text", whole).bytes)
        // The file holds these bytes and its header.
        let difference = try size(scratch["nf4.safetensors"]) - part("base", mapped).bytes
        #expect(difference > 0 && difference < 40_000, "\(difference)")
    }

    @Test func `what wants the original weights says so in one line`() throws {
        let file = scratch["nf4.safetensors"]
        _ = try quantise(world.base, "nf4", to: file)
        let keys = TinyWorld.lora.merging(world.keys) { $1 }.merging(["updates": "1", "train_tokens": ""]) { $1 }
        try scratch.write(try TinyWorld.shared().configuration(in: scratch, keys), to: "run.yaml")
        try expectSuccess(["lora", scratch["run.yaml"], "--quiet"])
        let lora = scratch["checkpoints/run/lora.safetensors"]
        let stageC = [
            "forward", "stage-c", "--inputs", scratch["in.safetensors"], "--arch", world.architecture, "--outputs",
            scratch["out.safetensors"],
        ]
        try Data(Data(contentsOf: URL(fileURLWithPath: file)).dropLast(100)).write(
            to: URL(fileURLWithPath: scratch["cut.safetensors"]))
        for (arguments, text) in [
            (["merge", file, lora, "-o", scratch["m.safetensors"]], "quantised"),
            (["extract", world.base, file, "--rank", "2", "-o", scratch["m.safetensors"]], "quantised"),
            (["models", "quantise", file, "-o", scratch["m.safetensors"], "--base-dtype", "int8"], "quantised"),
            (["models", "quantise", lora, "-o", scratch["m.safetensors"], "--base-dtype", "int8"], "quantised"),
            (["models", "quantise", world.base, "-o", scratch["m.safetensors"], "--base-dtype", "bfloat16"], "int8"),
            (["models", "quantise", world.base, "-o", world.base, "--base-dtype", "nf4"], "input"),
            (["models", "quantise", world.base, "-o", scratch.path, "--base-dtype", "nf4"], "folder"),
            (stageC + ["--weights", file, "--base-dtype", "int8"], "quantised otherwise"),
            (stageC + ["--weights", file, "--gradients"], "quantised"),
            (stageC + ["--weights", world.base, "--base-dtype", "nf4", "--gradients"], "--base-dtype"),
            (stageC + ["--weights", world.base, "--base-dtype", "int3"], "int3"),
            (stageC + ["--weights", scratch["cut.safetensors"]], "cut.safetensors"),
        ] {
            let outcome = try Command.run(arguments)
            #expect(outcome.exited && outcome.status == 2, "\(arguments) \(outcome)")
            #expect(outcome.errors.contains("error:") && outcome.errors.contains(text), "\(arguments) \(outcome)")
        }
        // An adapter beside it is what a quantised base is for.
        try expectSuccess(stageC + ["--weights", file, "--adapter", lora])
        try expectSuccess(stageC + ["--weights", world.base, "--base-dtype", "int8", "--adapter", lora])
    }
}
