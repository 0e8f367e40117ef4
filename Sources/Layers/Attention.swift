import Torch

/// Multi-head attention with fused projections, as `torch.nn.MultiheadAttention` keeps them.
///
/// An adapter sees the thirds of the fused projection under the names of `thirds`, and the last one as `out_proj`.
public final class Attention {
    /// The names of query, key and value as modules of their own, in the order of the fused projection's rows.
    public static let thirds = ["to_q", "to_k", "to_v"]
    /// The name of the fused projection as one module.
    public static let fused = "in_proj"

    /// Fused projection of query, key and value, [3c, c].
    public let inWeight: Matrix
    /// Its bias, [3c].
    public let inBias: Tensor
    /// The last projection, [..., c] to [..., c]: `out_proj`.
    public let output: Linear
    private let query: Projection
    private let key: Projection
    private let value: Projection
    private let width: Int
    private let heads: Int

    /// Takes `in_proj_weight`, `in_proj_bias` and `out_proj` from a scope.
    /// - Parameters:
    ///   - width: c, a multiple of `heads`.
    ///   - heads: parts of the width that attend each by itself.
    public init(width: Int, heads: Int, _ scope: Scope) throws {
        self.width = width
        self.heads = heads
        inWeight = try scope.matrix("in_proj_weight", [3 * width, width], .xavierUniform())
        inBias = try scope.parameter("in_proj_bias", [3 * width], .zeros)
        let (weight, bias) = (inWeight, inBias)
        func third(_ index: Int) throws -> Projection {
            let rows = index * width..<(index + 1) * width
            let projection = Projection(weight: try weight.rows(rows), bias: try bias.sliced(0, rows))
            scope.register(projection, as: Self.thirds[index])
            return projection
        }
        query = try third(0)
        key = try third(1)
        value = try third(2)
        output = try Linear(.init(width, width), scope("out_proj"))
    }

    /// The keys and values of a condition, side by side: [B, T, c] to [B, T, 2c].
    public func keysAndValues(of condition: Tensor) throws -> Tensor {
        try condition.adaptedLinear(
            inWeight.rows(width..<3 * width), bias: inBias.sliced(0, width..<3 * width), [key, value], part: 1)
    }

    /// Attends from `x` to a condition, and to `x` itself first where `includingSelf` says so.
    /// - Parameters:
    ///   - x: [B, N, c].
    ///   - condition: its keys and values, [B, T, 2c].
    ///   - dropout: of what each token looks at; nil drops nothing.
    /// - Returns: [B, N, c].
    public func callAsFunction(
        _ x: Tensor, condition: Tensor, includingSelf: Bool, dropout: Dropout? = nil
    ) throws -> Tensor {
        let thirds = includingSelf ? [query, key, value] : [query]
        let own = try x.adaptedLinear(  // [B, N, 3c], or [B, N, c] of queries alone
            inWeight.rows(0..<thirds.count * width), bias: inBias.sliced(0, 0..<thirds.count * width), thirds)
        let attended =
            try dropout?.attention(own: own, condition: condition, heads: heads)
            ?? .attention(own: own, condition: condition, heads: heads)
        return try output(attended)
    }
}
