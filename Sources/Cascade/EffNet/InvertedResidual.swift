import Layers
import Torch

/// What one block of EfficientNetV2 widens, filters and narrows.
struct InvertedResidualShape {
    var inputs: Int
    var outputs: Int
    /// How many times wider the inside is.
    var expansion: Int
    /// Of the 3x3 convolution.
    var stride: Int

    var inside: Int { inputs * expansion }
    /// Only a block that changes neither size nor channels has the identity beside it.
    var hasIdentity: Bool { stride == 1 && inputs == outputs }
}

/// A block of EfficientNetV2 (Tan and Le 2021).
protocol InvertedResidual {
    var norms: [BatchNorm] { get }
    /// [B, in, H, W] to [B, out, H / stride, W / stride].
    func callAsFunction(_ x: Tensor) throws -> Tensor
}

/// Widening and filtering in one 3x3 convolution, then narrowing.
final class FusedBlock: InvertedResidual {
    /// Keys `block.0`, and `block.1` where the block widens.
    private let steps: [ConvolutionNorm]
    private let hasIdentity: Bool

    init(_ shape: InvertedResidualShape, _ scope: Scope) throws {
        let block = scope("block")
        let widens = shape.expansion > 1
        var filter = Convolution.Configuration(shape.inputs, widens ? shape.inside : shape.outputs, kernel: 3)
        filter.stride = shape.stride
        filter.padding = 1
        var steps = [try ConvolutionNorm(filter, activates: true, block(0))]
        if widens {
            let narrow = Convolution.Configuration(shape.inside, shape.outputs, kernel: 1)
            steps.append(try ConvolutionNorm(narrow, activates: false, block(1)))
        }
        self.steps = steps
        hasIdentity = shape.hasIdentity
    }

    var norms: [BatchNorm] { steps.map(\.norm) }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try steps.reduce(x) { try $1($0) }
        return hasIdentity ? try x + y : y
    }
}

/// Widening, a depthwise 3x3 convolution, SiLU with squeeze and excitation, narrowing.
final class MobileBlock: InvertedResidual {
    /// Key `block.0`.
    private let widen: ConvolutionNorm
    /// Key `block.1`.
    private let filter: ConvolutionNorm
    /// Key `block.2`.
    private let excitation: SqueezeExcitation
    /// Key `block.3`.
    private let narrow: ConvolutionNorm
    private let hasIdentity: Bool

    init(_ shape: InvertedResidualShape, _ scope: Scope) throws {
        let block = scope("block")
        widen = try ConvolutionNorm(.init(shape.inputs, shape.inside, kernel: 1), activates: true, block(0))
        var depthwise = Convolution.Configuration(shape.inside, shape.inside, kernel: 3)
        depthwise.stride = shape.stride
        depthwise.padding = 1
        depthwise.groups = shape.inside
        filter = try ConvolutionNorm(depthwise, activates: false, block(1))
        excitation = try SqueezeExcitation(shape.inside, squeezed: shape.inputs / 4, block(2))
        narrow = try ConvolutionNorm(.init(shape.inside, shape.outputs, kernel: 1), activates: false, block(3))
        hasIdentity = shape.hasIdentity
    }

    var norms: [BatchNorm] { [widen.norm, filter.norm, narrow.norm] }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try narrow(excitation(filter(widen(x))))
        return hasIdentity ? try x + y : y
    }
}

/// SiLU, and every channel then scaled by what a small network makes of all channels' means (Hu et al. 2018).
final class SqueezeExcitation {
    /// Weight [squeezed, c, 1, 1] and bias [squeezed] under `fc1`.
    private let squeeze: (weight: Tensor, bias: Tensor)
    /// Weight [c, squeezed, 1, 1] and bias [c] under `fc2`.
    private let excite: (weight: Tensor, bias: Tensor)

    init(_ channels: Int, squeezed: Int, _ scope: Scope) throws {
        func layer(_ inputs: Int, _ outputs: Int, _ scope: Scope) throws -> (weight: Tensor, bias: Tensor) {
            (
                try scope.parameter("weight", [outputs, inputs, 1, 1], .kaimingNormalFanOut),
                try scope.parameter("bias", [outputs], .zeros)
            )
        }
        squeeze = try layer(channels, squeezed, scope("fc1"))
        excite = try layer(squeezed, channels, scope("fc2"))
    }

    /// [B, c, H, W] to the same.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.siluSqueezeExcitation(squeeze: squeeze, excite: excite)
    }
}
