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

    /// Attends from `x` to `context`, and to `x` itself first where `includingSelf` says so.
    /// - Parameters:
    ///   - x: [B, N, c].
    ///   - context: [B, T, c].
    ///   - dropout: of what each token looks at; nil drops nothing.
    /// - Returns: [B, N, c].
    public func callAsFunction(_ x: Tensor, context: Tensor, includingSelf: Bool, dropout: Dropout? = nil)
        throws -> Tensor
    {
        let q: Tensor
        var k = try project(context, key, 1)  // [B, T, c]
        var v = try project(context, value, 2)
        if includingSelf {
            let fused = try x.mixedLinear(inWeight, bias: inBias).chunked(3, dimension: -1)  // 3 x [B, N, c]
            q = try query.adapted(fused[0], of: x)
            k = try .concatenated([key.adapted(fused[1], of: x), k], dimension: 1)  // [B, N + T, c]
            v = try .concatenated([value.adapted(fused[2], of: x), v], dimension: 1)
        } else {
            q = try project(x, query, 0)
        }
        let (queries, keys, values) = (try split(q), try split(k), try split(v))
        // [B, heads, N, c / heads]
        let attended = try dropout?.attention(queries, keys, values) ?? .attention(queries, keys, values)
        return try output(attended.transposed(1, 2).reshaped([x.size(0), x.size(1), width]))
    }

    private func project(_ x: Tensor, _ projection: Projection, _ third: Int) throws -> Tensor {
        let rows = third * width..<(third + 1) * width
        // Sliced from the stored leaf, so that a trained weight gets its gradient.
        let y = try x.mixedLinear(inWeight.rows(rows), bias: inBias.sliced(0, rows))
        return try projection.adapted(y, of: x, part: 1)
    }

    /// [B, N, c] to [B, heads, N, c / heads].
    private func split(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.size(0), x.size(1), heads, width / heads]).transposed(1, 2)
    }
}
