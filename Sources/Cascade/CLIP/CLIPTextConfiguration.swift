import JSON

/// The values of a CLIP text encoder, as transformers writes them to `config.json`.
public struct CLIPTextConfiguration: CLIPTowerConfiguration {
    public var width = 512
    public var innerWidth = 2048
    public var layers = 12
    public var heads = 8
    public var projected = 512
    public var activation = CLIPActivation.quickGELU
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
