import Foundation
import Images
import TestSupport
import Testing
import Torch
import Weights

/// `generate` with adapters, and with inference files.
@Suite struct GenerateAdapterTests {
    private let folder: GenerationFolder

    init() throws { folder = try GenerationFolder() }

    /// Writes a LoRA on all attention of the tiny Stage C.
    private func lora(_ name: String, seed: UInt64) throws -> String {
        let base = try SafetensorsFile(folder["models/stage_c.safetensors"])
        let generator = try Generator(seed: seed)
        var tensors: [(name: String, tensor: Tensor)] = []
        for entry in base.entries where entry.name.hasSuffix("attention.attn.out_proj.weight") {
            let path = entry.name.dropLast(".weight".count)
            tensors.append(("\(path).lora_down.weight", try generator.normal([2, 16]) * 0.3))
            tensors.append(("\(path).lora_up.weight", try generator.normal([16, 2]) * 0.3))
        }
        try SafetensorsWriter.write(
            tensors,
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "2", "alpha": "2",
            ], to: folder[name])
        return folder[name]
    }

    /// Writes a ControlNet of one channel in the native format.
    private func controlNet(_ name: String, width: Int = 16, filter: String = "CannyFilter") throws -> String {
        let generator = try Generator(seed: 4)
        func draw(_ shape: [Int]) throws -> Tensor { try generator.normal(shape) * 0.5 }
        try SafetensorsWriter.write(
            [
                ("backbone.0.weight", draw([4, 1, 3, 3])), ("backbone.0.bias", draw([4])),
                ("backbone.2.weight", draw([1, 4, 3, 3])), ("backbone.2.bias", draw([1])),
                ("projections.0.0.weight", draw([1, 1, 1, 1])), ("projections.0.2.weight", draw([width, 1, 1, 1])),
            ],
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "controlnet", "c_in": "1",
                "c_proj": "\(width)", "controlnet_blocks": "[2]", "bottleneck_mode": "simple",
                "controlnet_filter": filter, "controlnet_filter_params": #"{"resize": 32}"#,
            ], to: folder[name])
        return folder[name]
    }

    @Test func `a LoRA at a strength equals the base that it was merged into`() throws {
        let path = try lora("a.safetensors", seed: 1)
        try expectSuccess(folder.generate("--prompt", "a dog", "--lora", "\(path):0.7", "-o", folder["attached.png"]))
        try expectSuccess(folder.generate("--prompt", "a dog", "-o", folder["plain.png"]))
        try expectSuccess(
            [
                "merge", folder["models/stage_c.safetensors"], "\(path):0.7", "-o", folder["merged.safetensors"],
                "--arch", folder["models/stage_c.yaml"],
            ])
        try FileManager.default.removeItem(atPath: folder["models/stage_c.safetensors"])
        try FileManager.default.moveItem(
            atPath: folder["merged.safetensors"], toPath: folder["models/stage_c.safetensors"])
        try expectSuccess(folder.generate("--prompt", "a dog", "-o", folder["merged.png"]))
        func image(_ name: String) throws -> Image { try Image(contentsOf: folder[name]) }
        #expect(try largestDifference(image("attached.png"), image("merged.png")) <= 1)
        #expect(try largestDifference(image("attached.png"), image("plain.png")) > 1)
    }

    @Test func `strengths, windows and images of several adapters are in the file and repeat it`() throws {
        let photo = try folder.image("photo.png")
        let arguments = [
            "--prompt", "a dog", "--lora", "\(try lora("a.safetensors", seed: 1)):0.5", "--lora",
            try lora("b.safetensors", seed: 2), "--lora-window", "0:0.5", "--lora-window", "0.3:1", "--controlnet",
            "\(try controlNet("c.safetensors")):0.7", "--controlnet", try controlNet("d.safetensors"), "--image",
            photo, "--window", "0:0.6",
        ]
        try expectSuccess(["generate"] + folder.common + arguments + ["-o", folder["a.png"]])
        try expectSuccess(["generate", "--like", folder["a.png"], "-o", folder["b.png"], "--quiet"])
        #expect(try folder.read("a.png") == folder.read("b.png"))
        try expectSuccess(["generate", "--like", folder["a.png"], "--window", "0:1", "-o", folder["c.png"], "--quiet"])
        #expect(try folder.read("a.png") != folder.read("c.png"))
        try expectSuccess(
            folder.generate(
                "--prompt", "a dog", "--sweep", "lora=0,1", "-o", folder["grid.png"], "--lora", folder["a.safetensors"])
        )
    }

    @Test func `a filter's condition equals the one that is given`() throws {
        // The short side that filters see, so that nothing is resized.
        let photo = try Image(contentsOf: Photographs.path("astronaut.png")).resized(width: 768, height: 768)
        try photo.write(to: folder["photo.png"])
        let net = try controlNet("c.safetensors")
        try expectSuccess(
            [
                "filter", "apply", "CannyFilter", folder["photo.png"], "--params", "{resize: 32}", "-o",
                folder["edges.png"],
                "--tensor", folder["edges.safetensors"],
            ])
        func made(_ name: String, _ extra: String...) throws -> [UInt8] {
            try expectSuccess(
                [
                    "generate", "--models", folder["models"], "--size", "128", "--steps", "3,2", "--quiet", "--prompt",
                    "a dog", "--controlnet", net, "--latents", folder["\(name).safetensors"], "-o",
                    folder["\(name).png"],
                ]
                    + extra)
            return try SafetensorsFile(folder["\(name).safetensors"]).required("image").withBytes { [UInt8]($0) }
        }
        let filtered = try made("filtered", "--image", folder["photo.png"])
        #expect(try filtered == made("given", "--image", folder["edges.safetensors"], "--conditioned"))
        #expect(try filtered != made("weak", "--image", folder["photo.png"], "--window", "0:0.1"))
    }

    @Test func `adapters that do not fit are refused`() throws {
        let photo = try folder.image("photo.png")
        let (net, wide) = (try controlNet("c.safetensors"), try controlNet("w.safetensors", width: 24))
        let lora = try lora("a.safetensors", seed: 1)
        func refuse(_ arguments: String..., saying words: String) throws {
            try expectRefusal(folder.generate("--prompt", "a", "-o", folder["a.png"]) + arguments, saying: words)
        }
        try refuse("--controlnet", net, saying: "no image for the ControlNet")
        try refuse("--controlnet", wide, "--image", photo, saying: "another width")
        try refuse("--controlnet", lora, "--image", photo, saying: "no ControlNet")
        try refuse("--lora", net, saying: "ControlNet")
        try refuse("--image", photo, saying: "--controlnet")
        try refuse("--controlnet", net, "--image", photo, "--image", photo, saying: "given 2 times")
        try refuse("--controlnet", net, "--image", photo, "--window", "0.5:0.2", saying: "window")
        try refuse("--controlnet", net, "--image", try folder.scratch.write("x", to: "x.png"), saying: "x.png")
        let unnamed = try controlNet("u.safetensors", filter: "NoFilter")
        try refuse("--controlnet", unnamed, "--image", photo, saying: "no filter of this name")
    }
}
