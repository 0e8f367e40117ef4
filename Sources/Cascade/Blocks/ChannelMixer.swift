import Layers
import Torch

/// The channelwise half of residual and feed-forward blocks: Linear 4x, GELU, response norm, dropout, Linear.
final class ChannelMixer {
    private let expand: Linear
    private let norm: GlobalResponseNorm
    private let contract: Linear

    /// - Parameter depth: blocks of the whole way down, which the last weight's start shrinks with.
    init(inputs: Int, width: Int, depth: Int, _ scope: Scope) throws {
        expand = try Linear(.init(inputs, 4 * width), scope(0))
        norm = try GlobalResponseNorm(4 * width, scope(2))
        let gain = (1 / Double(max(1, depth))).squareRoot()
        contract = try Linear(.init(4 * width, width, initial: .xavierUniform(gain: gain)), scope(4))
    }

    /// [B, H, W, inputs] to [B, H, W, width].
    func callAsFunction(_ x: Tensor, _ dropout: Dropout?) throws -> Tensor {
        let y = try norm.afterGELU(expand(x))  // [B, H, W, 4 * width]
        return try contract(dropout.map { try $0(y) } ?? y)
    }
}
