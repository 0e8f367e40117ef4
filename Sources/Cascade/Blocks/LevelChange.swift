import Layers
import Torch

/// The step from one level to the next over channels-last activations [B, H, W, C]; each begins with a layer norm.
protocol LevelChange {
    func callAsFunction(_ x: Tensor) throws -> Tensor
}

/// Stage C's: a 1x1 convolution, and a bilinear change of sides where the level switches.
final class ResizingChange: LevelChange {
    /// Key `1.blocks.0` on the way down, `1.blocks.1` on the way up.
    private let mapping: Linear
    private let inputs: Int
    private let way: Level.Way
    private let switchesSides: Bool

    init(_ inputs: Int, _ outputs: Int, _ way: Level.Way, switchesSides: Bool, _ scope: Scope) throws {
        self.inputs = inputs
        self.way = way
        self.switchesSides = switchesSides
        mapping = try Linear(
            .init(inputs, outputs, storedAsConvolution: true), scope(1)("blocks")(way == .down ? 0 : 1))
    }

    /// [B, H, W, inputs] to [B, H', W', outputs].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        var y = try x.layerNorm(size: inputs, epsilon: 1e-6)
        if way == .down { y = try mapping(y) }
        if switchesSides {
            let (height, width) = (y.size(1), y.size(2))
            let (newHeight, newWidth) = way == .down ? (height / 2, width / 2) : (height * 2, width * 2)
            y = try y.resizedChannelsLast(height: newHeight, width: newWidth)
        }
        return way == .up ? try mapping(y) : y
    }
}

/// Stage B's: a 2x2 convolution with stride 2, or its transpose, computed as the product that it is.
final class StridedChange: LevelChange {
    /// Key `1`: [outputs, inputs, 2, 2] on the way down, [inputs, outputs, 2, 2] on the way up.
    private let weight: Tensor
    private let bias: Tensor
    private let inputs: Int
    private let outputs: Int
    private let way: Level.Way

    init(_ inputs: Int, _ outputs: Int, _ way: Level.Way, _ scope: Scope) throws {
        self.inputs = inputs
        self.outputs = outputs
        self.way = way
        let convolution = scope(1)
        weight = try convolution.parameter(
            "weight", (way == .down ? [outputs, inputs] : [inputs, outputs]) + [2, 2],
            way == .down ? .xavierUniform() : .torchUniform)
        bias = try convolution.parameter("bias", [outputs], .zeros)
    }

    /// [B, H, W, inputs] to [B, H / 2, W / 2, outputs], rounded down, or to [B, 2H, 2W, outputs].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try x.layerNorm(size: inputs, epsilon: 1e-6)
        let (batch, height, width) = (x.size(0), x.size(1), x.size(2))
        switch way {
        case .down:
            let squares = try x.sliced(1, 0..<height / 2 * 2).sliced(2, 0..<width / 2 * 2)
                .reshaped([batch, height / 2, 2, width / 2, 2, inputs]).permuted([0, 1, 3, 5, 2, 4])
                .reshaped([batch, height / 2, width / 2, inputs * 4])
            return try squares.mixedLinear(.plain(weight.reshaped([outputs, inputs * 4])), bias: bias)
        case .up:
            let squares = try x.mixedLinear(.plain(weight.reshaped([inputs, outputs * 4]).transposed(0, 1)), bias: nil)
                .reshaped([batch, height, width, outputs, 2, 2]).permuted([0, 1, 4, 2, 5, 3])
                .reshaped([batch, height * 2, width * 2, outputs])
            return try squares + bias.to(dtype: x.dtype)
        }
    }
}

extension Tensor {
    /// Bilinear resize of [B, H, W, C] with aligned corners.
    func resizedChannelsLast(height: Int, width: Int) throws -> Tensor {
        try channelsFirst().resized(height: height, width: width, alignCorners: true).channelsLast().contiguous()
    }
}
