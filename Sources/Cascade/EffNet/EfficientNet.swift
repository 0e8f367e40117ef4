import Layers
import Torch

/// EfficientNetV2 without its classifier (Tan and Le 2021), with the keys and numbers of torchvision's
/// `EfficientNet.features` in eval mode.
public final class EfficientNet {
    /// The sizes of an EfficientNetV2, by its stages.
    public struct Configuration: Equatable, Sendable {
        /// Channels of the first convolution, then those of each stage, `widths`.
        public var widths = [24, 24, 48, 64, 128, 160, 256]
        /// Blocks of each stage, `depths`.
        public var depths = [2, 4, 4, 6, 9, 15]
        /// Of the first convolution, then of each stage's first block, `strides`.
        public var strides = [2, 1, 2, 2, 2, 1, 2]
        /// How many times wider the blocks of each stage are inside, `expansions`.
        public var expansions = [1, 4, 4, 4, 6, 6]
        /// How many of the first stages widen and filter in one convolution, `fused`; the blocks of the others filter
        /// each channel by itself, and have squeeze and excitation.
        public var fused = 3
        /// Channels of the features, `head`.
        public var head = 1280

        /// EfficientNetV2-S.
        public init() {}

        /// Pixels of an image's side for each place of the features'.
        public var stride: Int { strides.reduce(1, *) }

        /// - Throws: a failure of the input that names the value that can't be.
        public func check() throws {
            try Limits.check(depths.count, "length of depths", 1...32)
            for (values, key, count) in [
                (widths, "widths", depths.count + 1), (strides, "strides", depths.count + 1),
                (expansions, "expansions", depths.count),
            ] {
                try Limits.check(values.count, "length of \(key)", count...count)
            }
            for width in widths { try Limits.check(width, "widths", 1...Limits.width) }
            for depth in depths { try Limits.check(depth, "depths", 1...Limits.layers) }
            for stride in strides { try Limits.check(stride, "strides", 1...2) }
            for expansion in expansions { try Limits.check(expansion, "expansions", 1...64) }
            try Limits.check(fused, "fused", 0...depths.count)
            try Limits.check(head, "head", 1...Limits.width)
            // A quarter of a block's channels is what squeeze and excitation has in the middle.
            for width in widths[fused..<depths.count] { try Limits.check(width, "widths", 4...Limits.width) }
        }
    }

    /// What the network was made by.
    public let configuration: Configuration
    /// Keeps only each block's input for the backward pass and computes the rest again.
    public var isCheckpointing = false
    /// What products and activations are computed in, the dtype of the parameters unless something else is set.
    public var computeDType: DType
    /// Key `0`: 3x3, [widths[0], in, 3, 3].
    private let stem: ConvolutionNorm
    /// Keys `STAGE.BLOCK`, stages from 1.
    private let blocks: [any InvertedResidual]
    /// The key behind the last stage's: 1x1, [head, widths.last, 1, 1].
    private let head: ConvolutionNorm

    /// - Parameters:
    ///   - inputs: channels of the image.
    ///   - stemPadding: of the first convolution. The published ControlNets' for other than 3 channels has none.
    public init(_ configuration: Configuration, inputs: Int = 3, stemPadding: Int = 1, _ scope: Scope) throws {
        try configuration.check()
        self.configuration = configuration
        let c = configuration
        var first = Convolution.Configuration(inputs, c.widths[0], kernel: 3)
        first.stride = c.strides[0]
        first.padding = stemPadding
        stem = try ConvolutionNorm(first, activates: true, scope(0))

        var channels = c.widths[0]
        var blocks: [any InvertedResidual] = []
        for stage in c.depths.indices {
            for block in 0..<c.depths[stage] {
                let shape = InvertedResidualShape(
                    inputs: channels, outputs: c.widths[stage + 1], expansion: c.expansions[stage],
                    stride: block == 0 ? c.strides[stage + 1] : 1)
                let place = scope(stage + 1)(block)
                blocks.append(stage < c.fused ? try FusedBlock(shape, place) : try MobileBlock(shape, place))
                channels = shape.outputs
            }
        }
        self.blocks = blocks
        head = try ConvolutionNorm(.init(channels, c.head, kernel: 1), activates: true, scope(c.depths.count + 1))
        computeDType = stem.convolution.weight.dtype
    }

    /// All batch norms in the order they run.
    public var batchNorms: [BatchNorm] { [stem.norm] + blocks.flatMap(\.norms) + [head.norm] }

    /// [B, in, H, W] to features [B, head, h, w], h = H / stride rounded up where the stem is padded.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        // Convolutions are fastest over channels that lie side by side, and keep this order.
        let x = try stem(images.to(dtype: computeDType).laidOutByPixels())
        return try head(blocks.reduce(x) { x, block in try checkpointed(if: isCheckpointing, x) { try block($0) } })
    }
}
