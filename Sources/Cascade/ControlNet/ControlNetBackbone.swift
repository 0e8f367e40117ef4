import Layers
import Torch

/// What makes features of a condition, before the projections of a ControlNet.
protocol ControlNetBackbone: AnyObject {
    /// Channels of the features.
    var outputs: Int { get }
    var batchNorms: [BatchNorm] { get }
    /// Keeps only the input of each part for the backward pass and computes the rest again.
    var isCheckpointing: Bool { get set }
    /// What products and activations are computed in, the dtype of the parameters unless something else is set.
    var computeDType: DType { get set }
    /// [B, c_in, H, W] to [B, outputs, h, w].
    func callAsFunction(_ image: Tensor) throws -> Tensor
}

extension EfficientNet: ControlNetBackbone {
    var outputs: Int { configuration.head }
}

/// `simple`: two 3x3 convolutions around a leaky ReLU, c -> 4c -> c at the size of the condition.
final class SimpleBackbone: ControlNetBackbone {
    let outputs: Int
    let batchNorms: [BatchNorm] = []
    var isCheckpointing = false
    var computeDType: DType
    /// Key `0`, [4c, c, 3, 3].
    private let widen: Convolution
    /// Key `2`, [c, 4c, 3, 3].
    private let narrow: Convolution

    init(inputs: Int, _ scope: Scope) throws {
        outputs = inputs
        widen = try Convolution(.threeByThree(inputs, 4 * inputs), scope(0))
        narrow = try Convolution(.threeByThree(4 * inputs, inputs), scope(2))
        computeDType = widen.weight.dtype
    }

    func callAsFunction(_ image: Tensor) throws -> Tensor {
        try checkpointed(if: isCheckpointing, image.to(dtype: computeDType)) { [widen, narrow] in
            try narrow(widen($0).leakyReLU(0.2))
        }
    }
}

/// `large`: wide 1x1 convolutions and eight residual blocks at the size of the condition.
final class LargeBackbone: ControlNetBackbone {
    let outputs = 1280
    let batchNorms: [BatchNorm] = []
    var isCheckpointing = false
    var computeDType: DType
    /// Key `0`, [16384, c, 1, 1].
    private let widen: Convolution
    /// Key `2`, [1024, 16384, 1, 1].
    private let narrow: Convolution
    /// Keys `3` to `10`.
    private let blocks: [ResidualConvolutions]
    /// Key `11`, [1280, 1024, 1, 1].
    private let last: Convolution

    init(inputs: Int, _ scope: Scope) throws {
        let (wide, width) = (16384, 1024)
        widen = try Convolution(.init(inputs, wide, kernel: 1), scope(0))
        narrow = try Convolution(.init(wide, width, kernel: 1), scope(2))
        blocks = try (3...10).map { try ResidualConvolutions(width, scope($0)("blocks")) }
        last = try Convolution(.init(width, outputs, kernel: 1), scope(11))
        computeDType = widen.weight.dtype
    }

    func callAsFunction(_ image: Tensor) throws -> Tensor {
        let x = try checkpointed(if: isCheckpointing, image.to(dtype: computeDType)) { [widen, narrow] in
            try narrow(widen($0).leakyReLU(0.2))
        }  // [B, 1024, h, w]
        return try last(blocks.reduce(x) { x, block in try checkpointed(if: isCheckpointing, x) { try block($0) } })
    }
}

/// Layer norm over the channels, GELU and a 3x3 convolution, twice, beside the identity.
final class ResidualConvolutions {
    /// Layer norms under `0` and `3`, convolutions under `2` and `5`.
    private let halves: [(norm: LayerNorm, convolution: Convolution)]

    init(_ channels: Int, _ scope: Scope) throws {
        halves = try [0, 3].map { first in
            (
                try LayerNorm(channels, epsilon: 1e-5, scope(first)),
                try Convolution(.threeByThree(channels, channels), scope(first + 2))
            )
        }
    }

    /// [B, C, H, W] to the same.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x
            + halves.reduce(x) { y, half in
                let rows = try y.permuted([0, 2, 3, 1])  // [B, H, W, C]
                return try half.convolution(half.norm(rows).gelu().permuted([0, 3, 1, 2]))
            }
    }
}
