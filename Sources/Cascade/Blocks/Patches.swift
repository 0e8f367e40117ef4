import Layers
import Torch

/// Latents to the first level's activations: squares of `patch_size` stacked, a 1x1 convolution, layer norm.
final class PatchEmbedding {
    /// Key `embedding.1`, [hidden, inputs * p², 1, 1].
    private let mapping: Linear
    private let patchSize: Int

    init(_ c: some StageConfiguration, _ root: Scope) throws {
        patchSize = c.patchSize
        mapping = try Linear(
            .init(
                c.inputs * patchSize * patchSize, c.hidden[0], initial: .xavierUniform(gain: 0.02),
                storedAsConvolution: true),
            root("embedding")(1))
    }

    /// [B, inputs, H, W] to [B, H / p, W / p, hidden].
    func callAsFunction(_ latents: Tensor) throws -> Tensor {
        let patches = try latents.pixelUnshuffled(patchSize).channelsLast()  // [B, h, w, inputs * p²]
        let x = try mapping(patches)
        return try x.layerNorm(size: x.size(3), epsilon: 1e-6)
    }
}

/// The first level's activations to the prediction: layer norm, a 1x1 convolution, stacked values back into squares.
final class PatchClassifier {
    /// Key `clf.1`, [outputs * p², hidden, 1, 1].
    private let mapping: Linear
    private let patchSize: Int

    init(_ c: some StageConfiguration, _ root: Scope) throws {
        patchSize = c.patchSize
        mapping = try Linear(
            .init(c.hidden[0], c.outputs * patchSize * patchSize, initial: .zeros, storedAsConvolution: true),
            root("clf")(1))
    }

    /// [B, h, w, hidden] to [B, outputs, h * p, w * p].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let prediction = try mapping(x.layerNorm(size: x.size(3), epsilon: 1e-6))  // [B, h, w, outputs * p²]
        return try prediction.channelsFirst().pixelShuffled(patchSize)
    }
}
