import Cascade
import Failures
import JSON
import Layers
import Testing
import Torch

@Suite struct CLIPVisionTests {
    private func tower(_ golden: TowerGolden, dtype: DType = .float32) throws -> CLIPVisionTower {
        let store = ParameterStore(from: golden.parameters(ignoring: CLIPVisionTower.ignores), dtype: dtype)
        let tower = try CLIPVisionTower(
            CLIPVisionConfiguration(golden.arch, file: golden.golden.path), store.root)
        try store.finish()
        return tower
    }

    @Test(arguments: ["clip_vision_gelu", "clip_vision_uneven"]) func `embeds as transformers`(name: String) throws {
        let golden = try TowerGolden(name)
        #expect(try difference(tower(golden)(golden.input("images")), golden.output("embeds")) < 2e-4)
    }

    @Test func `works in bfloat16`() throws {
        let golden = try TowerGolden("clip_vision_gelu")
        let embeds = try tower(golden, dtype: .bfloat16)(golden.input("images"))
        #expect(embeds.dtype == .bfloat16)
        #expect(try relativeError(embeds.to(dtype: .float32), golden.output("embeds")) < 3e-2)
    }

    @Test(arguments: ["24x24", "47x31", "30x61", "9x13", "24x35"])
    func `prepares images as torchvision`(size: String) throws {
        let golden = try TowerGolden("clip_preprocessing")
        let prepared = try CLIPPreprocessing(side: 24)(golden.input(size))
        #expect(try difference(prepared, golden.output(size)) < 1e-5)
        let averaged = try CLIPPreprocessing(side: 24, isAntialiased: true)(golden.input(size))
        #expect(try difference(averaged, golden.required("antialiased.\(size)")) < 1e-5)
    }

    @Test func `images of another size are failures of the input`() throws {
        let tower = try tower(TowerGolden("clip_vision_gelu"))
        for shape in [[1, 3, 24, 23], [1, 1, 24, 24], [3, 24, 24]] {
            #expect(try failure { _ = try tower(.zeros(shape)) }.blame == .input)
        }
    }

    @Test func `an encoder takes images of any size`() throws {
        let golden = try TowerGolden("clip_vision_gelu")
        let encoder = ImageEncoder(tower: try tower(golden))
        let images = try TowerGolden("clip_preprocessing")
        let embeds = try encoder(images.input("47x31"))
        #expect(embeds.shape == [1, 1, 20])
        #expect(try difference(embeds.squeezed(1), encoder.tower(images.output("47x31"))) < 1e-4)
    }

    @Test func `reads past the other half of a whole CLIP`() {
        let others = ["vision_model.embeddings.position_ids", "logit_scale", "text_projection.weight", "text_model.x"]
        #expect(others.allSatisfy(CLIPVisionTower.ignores))
        #expect(
            !["visual_projection.weight", "vision_model.pre_layrnorm.bias"].contains(where: CLIPVisionTower.ignores))
    }
}

@Suite struct CLIPVisionConfigurationTests {
    private func read(_ text: String) throws -> CLIPVisionConfiguration {
        try CLIPVisionConfiguration(JSON.parse(text, file: "config.json"), file: "config.json")
    }

    @Test func `what is left out has transformers' value`() throws {
        #expect(try read("{}") == CLIPVisionConfiguration())
        #expect(try read("{}").patchSize == 32)
    }

    @Test func `a whole CLIP holds its image encoder inside`() throws {
        let configuration = try read(
            """
            {"projection_dim": 768, "text_config": {"hidden_size": 768}, "vision_config": {"hidden_size": 1024,
            "num_attention_heads": 16, "patch_size": 14, "projection_dim": null}}
            """)
        #expect(configuration.width == 1024)
        #expect(configuration.projected == 768)
        #expect(configuration.patchSize == 14)
    }

    @Test(arguments: [
        ("{\"image_size\": 0}", "image_size"), ("{\"image_size\": [224, 224]}", "image_size"),
        ("{\"patch_size\": 225}", "patch_size"), ("{\"patch_size\": 1e30}", "patch_size"),
        ("{\"num_channels\": -3}", "num_channels"),
        ("{\"hidden_size\": 20, \"num_attention_heads\": 3}", "hidden_size"),
    ]) func `a wrong value is named`(text: String, key: String) throws {
        let failure = try failure { _ = try read(text) }
        #expect(failure.blame == .input)
        #expect(failure.what.contains(key))
    }
}
