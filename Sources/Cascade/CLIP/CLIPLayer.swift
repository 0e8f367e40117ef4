import Layers
import Torch

/// One transformer block of a CLIP tower (Radford et al. 2021): attention and a network of two layers, each behind a
/// layer norm and beside the identity.
final class CLIPLayer {
    /// Keys `layer_norm1`.
    private let firstNorm: LayerNorm
    /// Keys `self_attn.q_proj`, `.k_proj`, `.v_proj`, `.out_proj`, [c, c] each.
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    /// Keys `layer_norm2`.
    private let secondNorm: LayerNorm
    /// Keys `mlp.fc1`, [inner, c], and `mlp.fc2`, [c, inner].
    private let widen: Linear
    private let narrow: Linear
    private let heads: Int
    private let activation: CLIPActivation

    init(_ configuration: some CLIPTowerConfiguration, _ scope: Scope) throws {
        let (width, inner) = (configuration.width, configuration.innerWidth)
        heads = configuration.heads
        activation = configuration.activation
        // transformers' own deviations for a tower that is drawn.
        let wide = 1 / Double(width).squareRoot()
        let deep = wide / Double(2 * configuration.layers).squareRoot()
        func linear(_ inputs: Int, _ outputs: Int, _ deviation: Double, _ scope: Scope) throws -> Linear {
            try Linear(.init(inputs, outputs, initial: .normal(deviation: deviation)), scope)
        }
        firstNorm = try LayerNorm(width, epsilon: configuration.epsilon, scope("layer_norm1"))
        let attention = scope("self_attn")
        query = try linear(width, width, deep, attention("q_proj"))
        key = try linear(width, width, deep, attention("k_proj"))
        value = try linear(width, width, deep, attention("v_proj"))
        output = try linear(width, width, wide, attention("out_proj"))
        secondNorm = try LayerNorm(width, epsilon: configuration.epsilon, scope("layer_norm2"))
        widen = try linear(width, inner, wide / 2.0.squareRoot(), scope("mlp")("fc1"))
        narrow = try linear(inner, width, deep, scope("mlp")("fc2"))
    }

    /// - Parameters:
    ///   - x: [B, T, c].
    ///   - mask: added to the scores, [B, 1, T, T]; nil where every token attends to every other.
    /// - Returns: [B, T, c].
    func callAsFunction(_ x: Tensor, mask: Tensor? = nil) throws -> Tensor {
        let y = try x + attend(firstNorm(x), mask: mask)
        return try y + narrow(activated(widen(secondNorm(y))))
    }

    private func attend(_ x: Tensor, mask: Tensor?) throws -> Tensor {
        let attended = try Tensor.attention(split(query(x)), split(key(x)), split(value(x)), mask: mask)
        return try output(attended.transposed(1, 2).reshaped(x.shape))  // [B, T, c]
    }

    /// [B, T, c] to [B, heads, T, c / heads].
    private func split(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.size(0), x.size(1), heads, x.size(2) / heads]).transposed(1, 2)
    }

    private func activated(_ x: Tensor) throws -> Tensor {
        switch activation {
        case .gelu: try x.gelu()
        case .quickGELU: try x * (x * 1.702).sigmoid()
        }
    }
}
