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

/// Stage B's: a 2x2 convolution with stride 2, or its transpose.
final class StridedChange: LevelChange {
    /// Key `1`: [outputs, inputs, 2, 2] on the way down, [inputs, outputs, 2, 2] on the way up.
    private let convolution: Convolution
    private let inputs: Int

    init(_ inputs: Int, _ outputs: Int, _ way: Level.Way, _ scope: Scope) throws {
        self.inputs = inputs
        var shape = Convolution.Configuration(inputs, outputs, kernel: 2)
        shape.stride = 2
        shape.transposed = way == .up
        shape.initial = way == .down ? .xavierUniform() : .torchUniform
        convolution = try Convolution(shape, scope(1))
    }

    /// [B, H, W, inputs] to [B, H / 2, W / 2, outputs], rounded down, or to [B, 2H, 2W, outputs].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let normalised = try x.layerNorm(size: inputs, epsilon: 1e-6)
        return try convolution(normalised.channelsFirst()).channelsLast().contiguous()
    }
}

extension Tensor {
    /// Bilinear resize of [B, H, W, C] with aligned corners.
    func resizedChannelsLast(height: Int, width: Int) throws -> Tensor {
        try channelsFirst().resized(height: height, width: width, alignCorners: true).channelsLast().contiguous()
    }
}
