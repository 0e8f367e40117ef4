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

    /// [B, H, W, C] to the same.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let gamma = try (0..<6).map { try gammas.sliced(0, $0..<$0 + 1).to(dtype: x.dtype) }
        let framed = try (normalised(x) * (gamma[0] + 1) + gamma[1]).channelsFirst().paddedByEdge(1)
        let y = try x + depthwise(framed).channelsLast() * gamma[2]  // [B, H, W, C]
        return try y + narrow(widen(normalised(y) * (gamma[3] + 1) + gamma[4]).gelu()) * gamma[5]
    }

    private func normalised(_ x: Tensor) throws -> Tensor { try x.layerNorm(size: width, epsilon: 1e-6) }
}
