import JSON

/// The values of a CLIP text encoder, as transformers writes them to `config.json`.
public struct CLIPTextConfiguration: CLIPTowerConfiguration {
    /// `hidden_size`: numbers of a token between layers.
    public var width = 512
    /// `intermediate_size`: numbers of a token inside a layer's feed-forward network.
    public var innerWidth = 2048
    /// `num_hidden_layers`: attention with feed-forward network, one after the other.
    public var layers = 12
    /// `num_attention_heads`: a divisor of the width.
    public var heads = 8
    /// `projection_dim`: numbers of a pooled text.
    public var projected = 512
    /// `hidden_act`: between the two layers of a feed-forward network.
    public var activation = CLIPActivation.quickGELU
    /// `layer_norm_eps`: added to a variance before its root divides.
    public var epsilon = 1e-5
    /// `vocab_size`.
    public var vocabulary = 49408
    /// `max_position_embeddings`: the longest text, in tokens.
    public var positions = 77
    /// `eos_token_id`, which decides where the text is pooled: see `CLIPTextTower`.
    public var endToken = 49407

    /// transformers' own values.
    public init() {}

    /// Reads a `config.json`, of a text encoder or of a whole CLIP with its `text_config`. What it leaves out has
    /// transformers' value, what a text encoder does not read is passed over.
    /// - Throws: a failure of the input that names the key.
    public init(_ json: JSON, file: String) throws {
        let reader = try CLIPConfigurationReader(json, tower: "text_config", file: file)
        try reader.read(into: &self)
        vocabulary = try reader.whole("vocab_size", 1...(1 << 24)) ?? vocabulary
        positions = try reader.whole("max_position_embeddings", 1...Limits.width) ?? positions
        endToken = try reader.whole("eos_token_id", 0...Int(Int32.max)) ?? endToken
    }
}
