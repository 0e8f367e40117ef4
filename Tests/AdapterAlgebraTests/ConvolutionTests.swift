import AdapterAlgebra
import AdapterKit
import Cascade
import Layers
import Settings
import TestSupport
import Testing
import Torch
import Weights

/// Merging a LoRA of convolutions, depthwise kernels among them, and taking it out again.
@Suite struct ConvolutionTests {
    @Test func `a merged LoRA of convolutions is the peer's, and extract finds it`() throws {
        let world = try AlgebraWorld()
        let golden = try Golden("gradients_lora_convolutions")
        let rank = try #require(golden.metadata["rank"].flatMap { Int($0) })
        let base = try Checkpoint(world.folder.write(golden.part("weights"), to: "stage_c.safetensors"))
        let lora = try AdapterFile(
            world.folder.write(
                golden.part("adapter"),
                metadata: [
                    "format": AdapterFile.format, "format_version": AdapterFile.version, "kind": "lora",
                    "rank": "\(rank)", "alpha": #require(golden.metadata["alpha"]),
                ], to: "convolutions.safetensors"))
        let merged = try world.merged([world.part(lora)], into: base)
        try expectAnswer(of: merged, golden)

        var configuration = Extraction.Configuration(rank: 3)
        configuration.moduleFilters = ["depthwise", "embedding", "scalers", "clf"]
        let extraction = try Extraction(from: base, to: Checkpoint(merged), configuration)
        #expect(extraction.modules.count == golden.part("adapter").count / 2 && extraction.modules.energy > 0.999)
        #expect(extraction.modules.contains { $0.path == "down_blocks.0.0.depthwise" && $0.rank == 3 })
        let path = world.folder["extracted.safetensors"]
        try extraction.write(to: path, base: BaseModel(name: "tiny", sha256: ""))
        try expectAnswer(of: world.merged([world.part(AdapterFile(path))], into: base), golden)
    }

    private func expectAnswer(of weights: SafetensorsFile, _ golden: Golden) throws {
        let stageC = try StageC(
            Setting.parse(golden.arch, file: golden.path).read(as: StageCConfiguration.self),
            ParameterStore(from: StoredParameters(weights)))
        func input(_ name: String) throws -> Tensor { try #require(golden.tensors["in.\(name)"]).made() }
        let out = try stageC(
            input("x"), time: input("r"),
            .init(
                clipText: input("clip_text"), clipTextPooled: input("clip_text_pooled"), clipImage: input("clip_img")))
        let expected = try #require(golden.tensors["out.out"]).made()
        #expect(try (out - expected).norm().item() < 1e-4 * expected.norm().item())
    }
}
