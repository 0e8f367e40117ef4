import AdapterKit
import Generation
import Glibc
import Images
import LoRA
import TestSupport
import Testing
import Torch
import Weights

/// Whole images against transformers' and diffusers' networks, driven by the reference's sampling formula.
@Suite struct GenerationParityTests {
    private static let plugIns = PlugIns(filters: [], adapters: [LoRA.kind])

    private func made(
        _ world: GenerationWorld, _ request: ImageRequest,
        _ change: (inout GenerationPipeline.Configuration) throws -> Void = { _ in }
    ) throws -> GeneratedImage {
        var configuration = GenerationPipeline.Configuration(models: try world.models)
        try change(&configuration)
        return try GenerationPipeline(configuration, Self.plugIns).images([request])[0]
    }

    /// Drawn networks make latents of hundreds, so that differences count in their deviations.
    private func expect(_ tensor: Tensor?, _ expected: Tensor, _ name: Comment) throws {
        let deviation = try expected.variance().sqrt().item()
        #expect(try largestDifference(#require(tensor), expected) < 1e-4 * deviation, name)
    }

    @Test(arguments: ["plain", "levels", "repeats"])
    func `a prompt becomes latents and an image`(name: String) throws {
        let world = try GenerationWorld(name)
        let image = try made(world, world.request("a dog", negative: "a cat"))
        try expect(image.stageC, world.output("stage_c"), "Stage C")
        try expect(image.stageB, world.output("stage_b"), "Stage B")
        try expect(image.pixels, world.output("image"), "pixels")
    }

    @Test func `two LoRAs and two ControlNets count with their strengths in their windows`() throws {
        let world = try GenerationWorld("adapters")
        let image = try made(world, world.request("a dog")) { configuration in
            configuration.adapters = try [(0.7, 0.0, 0.5), (-1.3, 0.25, 1.0)].enumerated().map { index, use in
                let path = world.scratch["lora\(index).safetensors"]
                try SafetensorsWriter.write(
                    world.golden.part("lora\(index)").sorted { $0.key < $1.key }.map { ($0.key, try $0.value.made()) },
                    metadata: [
                        "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "2",
                        "alpha": "2",
                    ], to: path)
                var adapter = AdapterUse(path, strength: use.0)
                adapter.window = try #require(StepWindow(from: use.1, until: use.2))
                return adapter
            }
            let blocks = [[0, 3], [0, 2, 5]]
            configuration.controlNets = try [(0.8, 0.0, 0.6), (0.5, 0.3, 1.0)].enumerated().map { index, use in
                let path = world.scratch["control\(index).safetensors"]
                try SafetensorsWriter.write(
                    world.golden.part("controlnet\(index)").sorted { $0.key < $1.key }
                        .map { ($0.key, try $0.value.made()) }, to: path)
                let image = world.scratch["control\(index).png"]
                try world.image("control\(index)").write(to: image)
                var control = ControlUse(path, strength: use.0, image: image)
                control.window = try #require(StepWindow(from: use.1, until: use.2))
                control.isCondition = true
                control.reading.controlNetBlocks = blocks[index]
                return control
            }
        }
        try expect(image.stageC, world.output("stage_c"), "Stage C")
        try expect(image.stageB, world.output("stage_b"), "Stage B")
    }

    @Test func `an image to start from, whole and with a mask`() throws {
        let world = try GenerationWorld("start")
        var request = try world.request("a dog")
        request.start = StartImage(try world.image("image"), denoise: 0.6)
        try expect(made(world, request).stageC, world.output("stage_c"), "whole")
        let hole = try world.image("hole")
        request.start?.mask = Mask(
            width: hole.width, height: hole.height,
            values: stride(from: 0, to: hole.pixels.count, by: 3).map { hole.pixels[$0] })
        let masked = try made(world, request).stageC
        try expect(masked, world.output("masked"), "with a mask")
        // What the mask leaves out is the image's own.
        let kept = try 1 - world.output("mask")
        #expect(try kept.absoluteSum().item() > 0)
        #expect(try largestDifference(masked * kept, world.output("clean") * kept) < 1e-4)
    }

    @Test func `an image is varied by its CLIP embedding`() throws {
        let world = try GenerationWorld("vary")
        var request = try world.request("")
        request.variation = try world.image("image")
        let image = try made(world, request)
        try expect(image.stageC, world.output("stage_c"), "Stage C")
        try expect(image.stageB, world.output("stage_b"), "Stage B")
    }

    @Test func `an image is reconstructed by Stage B and by Stage A alone`() throws {
        let world = try GenerationWorld("reconstruct")
        var reconstruction = Reconstruction(try world.models)
        reconstruction.sampler = .ddim
        reconstruction.noise = try world.input("stage_b")
        let image = try world.image("image")
        func result(_ way: Reconstruction.Way) throws -> Reconstruction.Result {
            reconstruction.way = way
            var results: [Reconstruction.Result] = []
            try reconstruction([image], GenerationHooks()) { results.append($0) }
            return try #require(results.first)
        }
        let byB = try result(.b)
        try expect(byB.pixels, world.output("image"), "by Stage B")
        let byA = try result(.a)
        try expect(byA.pixels, world.output("by_a"), "by Stage A")
        // From the definition, over the 8-bit samples.
        let squares = zip(image.pixels, byA.image.pixels).map {
            (Double($0) - Double($1)) * (Double($0) - Double($1))
        }
        let error = squares.reduce(0, +) / Double(squares.count)
        #expect(abs(byA.psnr - 10 * log10(65025 / error)) < 1e-9)
    }
}
