import JSON

extension CLIPTextConfiguration {
    /// As transformers writes it to `config.json`.
    public var json: JSON {
        .object(
            sharedMembers(
                [
                    "model_type": "clip_text_model", "architectures": ["CLIPTextModelWithProjection"],
                    "vocab_size": .integer(vocabulary), "max_position_embeddings": .integer(positions),
                    "eos_token_id": .integer(endToken),
                ]))
    }
}

extension CLIPVisionConfiguration {
    /// As transformers writes it to `config.json`.
    public var json: JSON {
        .object(
            sharedMembers(
                [
                    "model_type": "clip_vision_model", "architectures": ["CLIPVisionModelWithProjection"],
                    "num_channels": .integer(channels), "image_size": .integer(imageSize),
                    "patch_size": .integer(patchSize),
                ]))
    }
}

extension CLIPTowerConfiguration {
    /// The members of one tower, and behind them those that both have.
    fileprivate func sharedMembers(_ own: JSON) -> JSON.Object {
        var members = own.objectValue ?? .init()
        members["hidden_size"] = .integer(width)
        members["intermediate_size"] = .integer(innerWidth)
        members["num_hidden_layers"] = .integer(layers)
        members["num_attention_heads"] = .integer(heads)
        members["projection_dim"] = .integer(projected)
        members["hidden_act"] = .string(activation.rawValue)
        members["layer_norm_eps"] = .number(epsilon)
        return members
    }
}
