import Layers
import Torch

/// One row of blocks at one resolution, run once or several times.
final class Level {
    /// A block and whether ControlNet counts it.
    struct Member {
        let block: any Block
        let isInjectionPoint: Bool
    }

    let members: [Member]
    /// 1x1 convolutions between repetitions.
    let repeatMappers: [Linear]

    init(members: [Member], repeatMappers: [Linear]) {
        self.members = members
        self.repeatMappers = repeatMappers
    }

    /// Residual blocks run in one pass through the level, repetitions included.
    var injectionPoints: Int { members.filter(\.isInjectionPoint).count * (repeatMappers.count + 1) }
}

/// The step from one level to the next: layer norm, a 1x1 convolution, and a bilinear change of sides where the level
/// switches.
final class LevelChange {
    enum Direction { case down, up }

    private let mapping: Linear
    private let inputs: Int
    private let direction: Direction
    private let switchesSides: Bool

    init(_ inputs: Int, _ outputs: Int, _ direction: Direction, switchesSides: Bool, _ scope: Scope) throws {
        self.inputs = inputs
        self.direction = direction
        self.switchesSides = switchesSides
        mapping = try Linear(
            .init(inputs, outputs, storedAsConvolution: true),
            scope(1)("blocks")(direction == .down ? 0 : 1))
    }

    /// [B, H, W, inputs] to [B, H', W', outputs].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        var y = try x.layerNorm(size: inputs, epsilon: 1e-6)
        if direction == .down { y = try mapping(y) }
        if switchesSides {
            let (height, width) = (y.size(1), y.size(2))
            let (newHeight, newWidth) = direction == .down ? (height / 2, width / 2) : (height * 2, width * 2)
            y = try y.resizedChannelsLast(height: newHeight, width: newWidth)
        }
        return direction == .up ? try mapping(y) : y
    }
}

extension Tensor {
    /// Bilinear resize of [B, H, W, C] with aligned corners.
    func resizedChannelsLast(height: Int, width: Int) throws -> Tensor {
        try channelsFirst().resized(height: height, width: width, alignCorners: true).channelsLast().contiguous()
    }
}
