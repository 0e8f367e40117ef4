import Layers
import Torch

/// EfficientNetV2-S without its classifier (Tan and Le 2021), with the keys and numbers of torchvision's
/// `efficientnet_v2_s().features` in eval mode.
public final class EfficientNetV2S {
    public struct Configuration: Sendable {
        public var inputs: Int
        /// Of the first convolution. ControlNet's stem for other than 3 channels was published without padding.
        public var stemPadding: Int

        /// - Parameter inputs: channels of the picture.
        public init(inputs: Int = 3, stemPadding: Int = 1) {
            self.inputs = inputs
            self.stemPadding = stemPadding
        }
    }

    /// Channels of the features.
    public static let outputs = 1280

    private struct Stage {
        let isFused: Bool
        let expansion: Int
        let stride: Int
        let outputs: Int
        let blocks: Int
    }

    /// Pixels of a picture's side for each place of the features'.
    public static let stride = stemStride * stages.reduce(1) { $0 * $1.stride }

    private static let stemOutputs = 24
    private static let stemStride = 2
    private static let stages = [
        Stage(isFused: true, expansion: 1, stride: 1, outputs: 24, blocks: 2),
        Stage(isFused: true, expansion: 4, stride: 2, outputs: 48, blocks: 4),
        Stage(isFused: true, expansion: 4, stride: 2, outputs: 64, blocks: 4),
        Stage(isFused: false, expansion: 4, stride: 2, outputs: 128, blocks: 6),
        Stage(isFused: false, expansion: 6, stride: 1, outputs: 160, blocks: 9),
        Stage(isFused: false, expansion: 6, stride: 2, outputs: 256, blocks: 15),
    ]

    /// Key `0`: 3x3 of stride 2, [24, in, 3, 3].
    private let stem: ConvolutionNorm
    /// Keys `1.0` to `6.14`.
    private let blocks: [any InvertedResidual]
    /// Key `7`: 1x1, [1280, 256, 1, 1].
    private let head: ConvolutionNorm

    public init(_ configuration: Configuration, _ scope: Scope) throws {
        var first = Convolution.Configuration(configuration.inputs, Self.stemOutputs, kernel: 3)
        first.stride = Self.stemStride
        first.padding = configuration.stemPadding
        stem = try ConvolutionNorm(first, activates: true, scope(0))

        var channels = Self.stemOutputs
        var blocks: [any InvertedResidual] = []
        for (index, stage) in Self.stages.enumerated() {
            for block in 0..<stage.blocks {
                let shape = InvertedResidualShape(
                    inputs: channels, outputs: stage.outputs, expansion: stage.expansion,
                    stride: block == 0 ? stage.stride : 1)
                let place = scope(index + 1)(block)
                blocks.append(stage.isFused ? try FusedBlock(shape, place) : try MobileBlock(shape, place))
                channels = stage.outputs
            }
        }
        self.blocks = blocks
        head = try ConvolutionNorm(
            .init(channels, Self.outputs, kernel: 1), activates: true, scope(Self.stages.count + 1))
    }

    /// All batch norms in the order they run.
    public var batchNorms: [BatchNorm] { [stem.norm] + blocks.flatMap(\.norms) + [head.norm] }

    /// What the pictures are converted to: the dtype of the parameters.
    var dtype: DType { stem.convolution.weight.dtype }

    /// [B, in, H, W] to features [B, 1280, h, w], h = H / stride rounded up where the stem is padded.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        let x = try stem(images.to(dtype: dtype))  // [B, 24, H/2, W/2]
        return try head(blocks.reduce(x) { try $1($0) })
    }
}
