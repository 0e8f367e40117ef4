import Cascade
import JSON
import Testing

@Suite struct CLIPTextConfigurationTests {
    private func read(_ text: String) throws -> CLIPTextConfiguration {
        try CLIPTextConfiguration(JSON.parse(text, file: "config.json"), file: "config.json")
    }

    @Test func whatIsLeftOutHasTransformersValue() throws {
        let configuration = try read("{}")
        #expect(configuration == CLIPTextConfiguration())
        #expect(configuration.vocabulary == 49408)
        #expect(configuration.endToken == 49407)
        #expect(configuration.activation == .quickGELU)
    }

    @Test func aWholeCLIPHoldsItsTextTowerInside() throws {
        let configuration = try read(
            """
            {"model_type": "clip", "hidden_size": 7, "projection_dim": 1280, "text_config": {"hidden_size": 1280,
            "num_attention_heads": 20, "hidden_act": "gelu", "eos_token_id": 2, "projection_dim": null}}
            """)
        #expect(configuration.width == 1280)
        #expect(configuration.heads == 20)
        #expect(configuration.projected == 1280)
        #expect(configuration.activation == .gelu)
        #expect(configuration.endToken == 2)
    }

    @Test(arguments: [
        ("{\"hidden_size\": \"wide\"}", "hidden_size"), ("{\"hidden_size\": 1e18}", "hidden_size"),
        ("{\"num_hidden_layers\": 0}", "num_hidden_layers"), ("{\"num_attention_heads\": -1}", "num_attention_heads"),
        ("{\"hidden_size\": 20, \"num_attention_heads\": 3}", "hidden_size"), ("{\"vocab_size\": 2.5}", "vocab_size"),
        ("{\"hidden_act\": \"relu\"}", "hidden_act"), ("{\"layer_norm_eps\": 0}", "layer_norm_eps"),
        ("{\"eos_token_id\": [2]}", "eos_token_id"), ("[]", "configuration"),
    ])
    func aWrongValueIsNamed(text: String, key: String) throws {
        let failure = try failure { _ = try read(text) }
        #expect(failure.blame == .input)
        #expect(failure.place?.file == "config.json")
        #expect(failure.what.contains(key))
    }

    @Test func whatIsWrittenIsRead() throws {
        var text = CLIPTextConfiguration()
        (text.width, text.innerWidth, text.layers, text.heads, text.projected) = (48, 192, 3, 4, 64)
        (text.activation, text.epsilon, text.vocabulary, text.positions, text.endToken) = (.gelu, 1e-6, 99, 7, 98)
        #expect(try CLIPTextConfiguration(text.json, file: "config.json") == text)

        var image = CLIPVisionConfiguration()
        (image.width, image.innerWidth, image.layers, image.heads, image.projected) = (64, 192, 3, 4, 64)
        (image.activation, image.epsilon, image.channels, image.imageSize, image.patchSize) = (.gelu, 1e-6, 4, 96, 12)
        #expect(try CLIPVisionConfiguration(image.json, file: "config.json") == image)
    }
}
