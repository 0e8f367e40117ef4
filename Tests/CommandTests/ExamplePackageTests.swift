import Foundation
import Images
import TestSupport
import Testing
import Torch
import Weights

/// The package in `examples/sketch`, which adds a filter to the command without touching ours.
@Suite struct ExamplePackageTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Runs one of the package's programs, where `.ci/test` builds them, with the engine that lies beside ours.
    private func run(_ arguments: [String], program name: String = "cascade-sketch") throws -> Command.Outcome {
        let program = Self.root.appendingPathComponent(".build/sketch/debug/\(name)").path
        try #require(FileManager.default.isExecutableFile(atPath: program), "`make test` builds examples/sketch")
        let engine = URL(fileURLWithPath: Command.program).deletingLastPathComponent()
            .appendingPathComponent("libCTorchEngine.so").path
        return try Command.run(arguments, environment: ["CASCADE_ENGINE": engine], program: program)
    }

    @Test func `its program lists its filter beside ours`() throws {
        let outcome = try run(["filter", "list"])
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        #expect(outcome.output.contains("SketchFilter  (channels of the condition: 1)"))
        #expect(outcome.output.contains("CannyFilter"))
    }

    @Test func `its program trains a ControlNet on its filter by its own configuration`() throws {
        let (scratch, world) = (try Scratch(), try TinyWorld.shared())
        let changes = world.places(in: scratch).merging(
            ["controlnet_blocks": "[0, 5]", "batch_size": "2", "image_size": "64", "updates": "3"]
        ) { $1 }
        let arguments = changes.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        let configuration = Self.root.appendingPathComponent("examples/sketch/sketch.yaml").path
        let outcome = try run(["controlnet", configuration] + arguments)
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains("ControlNet (SketchFilter, effnet)"))
        let file = try SafetensorsFile(scratch["checkpoints/sketch/controlnet.safetensors"])
        #expect(file.metadata["trained_steps"] == "3")
        #expect(file.metadata.values.contains { $0.contains("SketchFilter") })
        // One channel goes in: the filter's, and nobody else's.
        #expect(try file.required("backbone.0.0.weight").size(1) == 1)
    }

    @Test func `its program trains its kind of adapter, exports and merges it`() throws {
        let (scratch, world) = (try Scratch(), try TinyWorld.shared())
        let keys = ["adapter_method": "scale", "module_filters": "[channelwise, .attn]", "experiment_id": "scaled"]
        let configuration = try scratch.write(world.configuration(in: scratch, keys), to: "scale.yaml")
        let trained = try run(["lora", configuration])
        #expect(trained.exited && trained.status == 0, "\(trained)")
        #expect(trained.errors.contains("a factor for each output channel on 36 modules"), "\(trained.errors)")
        let path = scratch["checkpoints/scaled/lora.safetensors"]
        let file = try SafetensorsFile(path)
        #expect(file.metadata["kind"] == "scale" && file.metadata["rank"] == nil)
        let factor = try file.required("down_blocks.0.0.channelwise.0.scale").values(as: Float.self)
        #expect(factor.count == 64 && factor.contains { $0 != 0 })

        // Into kohya's format and back it is the same.
        let exported = try run(["export", path, "-o", scratch["kohya.safetensors"], "--format", "kohya"])
        #expect(exported.status == 0, "\(exported)")
        let back = try run(["export", scratch["kohya.safetensors"], "-o", scratch["back.safetensors"]])
        #expect(back.status == 0, "\(back)")
        let read = try SafetensorsFile(scratch["back.safetensors"])
        #expect(try read.required("down_blocks.0.0.channelwise.0.scale").values(as: Float.self) == factor)

        // Merged at half the strength, a row is multiplied by 1 + factor / 2.
        let merged = try run(["merge", world.base, "\(path):0.5", "-o", scratch["merged.safetensors"]])
        #expect(merged.status == 0, "\(merged)")
        let key = "down_blocks.0.0.channelwise.0.weight"
        let (before, after) = try (
            SafetensorsFile(world.base).required(key).values(as: Float.self),
            SafetensorsFile(scratch["merged.safetensors"]).required(key).values(as: Float.self)
        )
        let width = before.count / factor.count
        let expected = before.enumerated().map { $1 * (1 + factor[$0 / width] / 2) }
        #expect(zip(after, expected).allSatisfy { abs($0 - $1) < 1e-6 } && after != before)
    }

    @Test func `its other program makes an image with the pipeline as a library`() throws {
        let folder = try GenerationFolder()
        let outcome = try run([folder["models"], "a dog", folder["a.png"]], program: "cascade-images")
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        let image = try Image(contentsOf: folder["a.png"])
        #expect(image.width == 512 && image.height == 512)
    }

    @Test func `our own program does not know its filter`() throws {
        let configuration = Self.root.appendingPathComponent("examples/sketch/sketch.yaml").path
        try expectRefusal(["controlnet", configuration, "--dry-run"], saying: "SketchFilter", "CannyFilter")
        let (scratch, world) = (try Scratch(), try TinyWorld.shared())
        let keys = ["adapter_method": "scale", "module_filters": "[.attn]"]
        let other = try scratch.write(world.configuration(in: scratch, keys), to: "scale.yaml")
        try expectRefusal(["lora", other, "--dry-run"], saying: "scale.yaml:", "no method", "lora")
    }
}
