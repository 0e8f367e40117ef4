import Failures
import JSON

/// The values of a CLIP image encoder, as transformers writes them to `config.json`.
public struct CLIPVisionConfiguration: CLIPTowerConfiguration {
    /// `hidden_size`: numbers of a token between layers.
    public var width = 768
    /// `intermediate_size`: numbers of a token inside a layer's feed-forward network.
    public var innerWidth = 3072
    /// `num_hidden_layers`: attention with feed-forward network, one after the other.
    public var layers = 12
    /// `num_attention_heads`: a divisor of the width.
    public var heads = 12
    /// `projection_dim`: numbers of an image's embedding.
    public var projected = 512
    /// `hidden_act`: between the two layers of a feed-forward network.
    public var activation = CLIPActivation.quickGELU
    /// `layer_norm_eps`: added to a variance before its root divides.
    public var epsilon = 1e-5
    /// `num_channels`.
    public var channels = 3
    /// `image_size`: side of the images.
    public var imageSize = 224
    /// `patch_size`: side of the squares that become tokens.
    public var patchSize = 32

    /// transformers' own values.
    public init() {}

    /// Reads a `config.json`, of an image encoder or of a whole CLIP with its `vision_config`. What it leaves out has
    /// transformers' value, what an image encoder does not read is passed over.
    /// - Throws: a failure of the input that names the key.
    public init(_ json: JSON, file: String) throws {
        let reader = try CLIPConfigurationReader(json, tower: "vision_config", file: file)
        try reader.read(into: &self)
        channels = try reader.whole("num_channels", 1...Limits.width) ?? channels
        imageSize = try reader.whole("image_size", 1...8192) ?? imageSize
        patchSize = try reader.whole("patch_size", 1...8192) ?? patchSize
        guard patchSize <= imageSize else {
            throw Failure.input(
                "`patch_size` is larger than the image", at: Failure.Place(file), expected: "at most \(imageSize)",
                got: "\(patchSize)")
        }
    }

    /// Squares of an image, each of which becomes a token; what is left of a row or column is not looked at.
    var patches: Int { (imageSize / patchSize) * (imageSize / patchSize) }
}
