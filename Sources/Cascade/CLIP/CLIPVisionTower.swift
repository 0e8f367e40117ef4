import Layers
import Torch

/// A CLIP image encoder with its projection, keys and numbers of transformers' `CLIPVisionModelWithProjection`.
public final class CLIPVisionTower {
    /// What the network was made by.
    public let configuration: CLIPVisionConfiguration
    /// Key `vision_model.embeddings.class_embedding`, [c].
    private let classEmbedding: Tensor
    /// Key `vision_model.embeddings.patch_embedding`, [c, 3, patch, patch], no bias.
    private let patchEmbedding: Convolution
    /// Key `vision_model.embeddings.position_embedding.weight`, [1 + patches, c].
    private let positionTable: Tensor
    /// Key `vision_model.pre_layrnorm`, spelled so.
    private let firstNorm: LayerNorm
    /// Keys `vision_model.encoder.layers.*`.
    private let layers: [CLIPLayer]
    /// Key `vision_model.post_layernorm`.
    private let finalNorm: LayerNorm
    /// Key `visual_projection.weight`, [projection, c].
    private let projection: Linear

    /// Takes `vision_model.*` and `visual_projection` from a scope.
    public init(_ configuration: CLIPVisionConfiguration, _ scope: Scope) throws {
        let c = configuration
        self.configuration = c
        let (vision, embeddings) = (scope("vision_model"), scope("vision_model")("embeddings"))
        let deviation = 1 / Double(c.width).squareRoot()
        classEmbedding = try embeddings.parameter("class_embedding", [c.width], .normal(deviation: deviation))
        var patch = Convolution.Configuration(c.channels, c.width, kernel: c.patchSize)
        patch.stride = c.patchSize
        patch.bias = false
        patch.initial = .normal(deviation: 0.02)
        patchEmbedding = try Convolution(patch, embeddings("patch_embedding"))
        positionTable = try embeddings("position_embedding").parameter(
            "weight", [1 + c.patches, c.width], .normal(deviation: 0.02))
        firstNorm = try LayerNorm(c.width, epsilon: c.epsilon, vision("pre_layrnorm"))
        layers = try (0..<c.layers).map { try CLIPLayer(c, vision("encoder")("layers")($0)) }
        finalNorm = try LayerNorm(c.width, epsilon: c.epsilon, vision("post_layernorm"))
        projection = try Linear(
            .init(c.width, c.projected, bias: false, initial: .normal(deviation: deviation)),
            scope("visual_projection"))
    }

    /// Whether a checkpoint may have a key that this tower does not read: constants, and the other half of a whole
    /// CLIP, in whose file the published image encoder lies.
    public static func ignores(_ key: String) -> Bool {
        key.hasSuffix(".position_ids") || key == "logit_scale"
            || key.hasPrefix("text_model.") || key.hasPrefix("text_projection.")
    }

    /// - Parameter images: [B, 3, side, side] as `CLIPPreprocessing` makes them.
    /// - Returns: projected embeddings, [B, projection], in the dtype of the parameters.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        let c = configuration
        try images.checkShape("images", [nil, c.channels, c.imageSize, c.imageSize])
        let table = positionTable
        let patches = try patchEmbedding(images.to(dtype: table.dtype))  // [B, c, side / patch, side / patch]
        let tokens = try patches.reshaped([images.size(0), c.width, c.patches]).transposed(1, 2)  // [B, patches, c]
        let first = try classEmbedding.expanded([images.size(0), 1, c.width])
        var x = try firstNorm(.concatenated([first, tokens], dimension: 1) + table)  // [B, 1 + patches, c]
        for layer in layers { x = try layer(x) }
        return try projection(finalNorm(x.selected(1, 0)))
    }
}
