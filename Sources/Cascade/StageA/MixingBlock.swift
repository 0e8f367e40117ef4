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
    /// Enough for products at their full rate; in float32 what is widened takes 12 MB of the widest published level.
    var positionsAtOnce = 2048

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

    /// Some rows of an image at a time, so that little but `x` and the result is as large as the image.
    /// - Parameters:
    ///   - x: [B, H, W, c].
    ///   - dtype: of the linear layers' products.
    /// - Returns: [B, H, W, c], in the dtype of `x`.
    func callAsFunction(_ x: Tensor, products dtype: DType) throws -> Tensor {
        let gamma = try (0..<6).map { try gammas.sliced(0, $0..<$0 + 1).to(dtype: .float32) }
        let (sideways, mixed) = try (
            sideways(Array(gamma[..<3]), x.dtype), mixed(Array(gamma[3...]), products: dtype)
        )
        let result = try Tensor.uninitialized(x.shape, dtype: x.dtype, device: x.device)
        let height = x.size(1)
        let rowsAtOnce = max(1, positionsAtOnce / x.size(2))
        for sample in 0..<x.size(0) {
            let (image, made) = try (x.sliced(0, sample..<sample + 1), result.sliced(0, sample..<sample + 1))
            for first in stride(from: 0, to: height, by: rowsAtOnce) {
                let rows = first..<min(first + rowsAtOnce, height)
                try made.sliced(1, rows).assign(mixed(sideways(image, rows)))
            }
        }
        return result
    }

    /// The first half, of some rows of an image [1, H, W, c]. A shift that is the same at all places passes through the kernels,
    /// as the edge is repeated.
    private func sideways(_ gamma: [Tensor], _ dtype: DType) throws -> (Tensor, Range<Int>) throws -> Tensor {
        let kernels = try depthwise.weight.to(dtype: .float32)
        let scaled = try (kernels * ((gamma[0] + 1) * gamma[2])).to(dtype: dtype)
        var shift = try kernels.sum([1, 2, 3]) * gamma[1]
        if let bias = depthwise.bias { shift = try shift + bias.to(dtype: .float32) }
        let bias = try (shift * gamma[2]).to(dtype: dtype)
        return { x, rows in
            let (height, width) = (x.size(1), x.size(2))
            // With a row on each side, which at the image's edge is the edge again.
            let around = max(rows.lowerBound - 1, 0)..<min(rows.upperBound + 1, height)
            let framed = try self.normalised(x.sliced(1, around)).channelsFirst().paddedByEdge(
                1, top: rows.lowerBound == 0 ? 1 : 0, bottom: rows.upperBound == height ? 1 : 0)
            let made = try framed.depthwise(scaled, bias: bias)
            return try x.sliced(1, rows) + made.sliced(2, 1..<rows.count + 1).sliced(3, 1..<width + 1).channelsLast()
        }
    }

    /// The second half, whose linear layers are four times as wide.
    private func mixed(_ gamma: [Tensor], products dtype: DType) throws -> (Tensor) throws -> Tensor {
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
        return { y in
            let widened = try self.normalised(y).to(dtype: dtype).linear(first.weight, bias: first.bias).gelu()
            return try y + widened.linear(last.weight, bias: last.bias).to(dtype: y.dtype)
        }
    }

    private func normalised(_ x: Tensor) throws -> Tensor { try x.layerNorm(size: width, epsilon: 1e-6) }
}
