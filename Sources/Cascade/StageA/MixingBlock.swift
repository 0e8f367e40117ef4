import Layers
import Torch

/// Stage A's residual block: a depthwise convolution, then two linear layers, each behind a layer norm whose scale and
/// shift are single numbers, and each weighed by another.
final class MixingBlock {
    /// Key `gammas`, [6]: scale, shift and weight of the first half, then of the second.
    private let gammas: Tensor
    /// Key `depthwise.1`, [c, 1, 3, 3]; the image's edge is repeated around.
    private let depthwise: Convolution
    /// Keys `channelwise.0`, [4c, c], and `channelwise.2`, [c, 4c].
    private let widen: Linear
    private let narrow: Linear
    private let width: Int

    init(_ width: Int, _ scope: Scope) throws {
        self.width = width
        gammas = try scope.parameter("gammas", [6], .zeros)
        var kernel = Convolution.Configuration(width, width, kernel: 3)
        kernel.groups = width
        kernel.initial = .xavierUniform()
        depthwise = try Convolution(kernel, scope("depthwise")(1))
        widen = try Linear(.init(width, 4 * width), scope("channelwise")(0))
        narrow = try Linear(.init(4 * width, width), scope("channelwise")(2))
    }

    /// - Parameters:
    ///   - x: [B, H, W, c].
    ///   - dtype: of the linear layers' products.
    /// - Returns: [B, H, W, c], in the dtype of `x`.
    func callAsFunction(_ x: Tensor, products dtype: DType) throws -> Tensor {
        let gamma = try (0..<6).map { try gammas.sliced(0, $0..<$0 + 1).to(dtype: .float32) }
        let half = gamma[3...].map(\.self)
        return try mixed(sideways(x, Array(gamma[..<3])), half, dtype)
    }

    /// The first half. A shift that is the same at all places passes through the kernels, as the edge is repeated.
    private func sideways(_ x: Tensor, _ gamma: [Tensor]) throws -> Tensor {
        let kernels = try depthwise.weight.to(dtype: .float32)
        let scaled = try kernels * ((gamma[0] + 1) * gamma[2])
        var shift = try kernels.sum([1, 2, 3]) * gamma[1]
        if let bias = depthwise.bias { shift = try shift + bias.to(dtype: .float32) }
        let framed = try normalised(x).channelsFirst().paddedByEdge(1)
        let made = try framed.depthwise(scaled.to(dtype: x.dtype), bias: (shift * gamma[2]).to(dtype: x.dtype))
        let (height, width) = (x.size(1), x.size(2))
        return try x + made.sliced(2, 1..<height + 1).sliced(3, 1..<width + 1).channelsLast()
    }

    /// The second half, some positions at a time: what is four times as wide is never there for all of them.
    private func mixed(_ y: Tensor, _ gamma: [Tensor], _ dtype: DType) throws -> Tensor {
        let (wide, narrowing) = try (
            widen.weight.expanded(to: .float32), narrow.weight.expanded(to: .float32)
        )
        var shift = try wide.sum([1]) * gamma[1]
        if let bias = widen.bias { shift = try shift + bias.to(dtype: .float32) }
        let first = try (weight: (wide * (gamma[0] + 1)).to(dtype: dtype), bias: shift.to(dtype: dtype))
        let last = try (
            weight: (narrowing * gamma[2]).to(dtype: dtype),
            bias: narrow.bias.map { try ($0.to(dtype: .float32) * gamma[2]).to(dtype: dtype) }
        )
        let rows = try y.reshaped([-1, width])
        let parts = try stride(from: 0, to: rows.size(0), by: Self.rowsAtOnce).map { start in
            let some = try rows.sliced(0, start..<min(start + Self.rowsAtOnce, rows.size(0)))
            let widened = try normalised(some).to(dtype: dtype).linear(first.weight, bias: first.bias).gelu()
            return try some + widened.linear(last.weight, bias: last.bias).to(dtype: some.dtype)
        }
        return try (parts.count == 1 ? parts[0] : .concatenated(parts, dimension: 0)).reshaped(y.shape)
    }

    /// Enough for products at their full rate; in float32 they make 12 MB of the widest published level.
    private static let rowsAtOnce = 2048

    private func normalised(_ x: Tensor) throws -> Tensor { try x.layerNorm(size: width, epsilon: 1e-6) }
}
