import Failures
import Layers
import Torch

/// A ControlNet on Stage C: features of a condition, projected once for each residual block that gets them.
///
/// It is trained as it is used: batch norms keep their running statistics and only their scales and shifts learn.
public final class ControlNetTrunk {
    /// What makes the features, `bottleneck_mode`.
    public enum BottleneckMode: String, Sendable, CaseIterable {
        /// In this order: an EfficientNetV2, two 3x3 convolutions, wide 1x1 convolutions with eight residual blocks.
        case effnet, simple, large
    }

    /// The sizes of a ControlNet and the residual blocks that it works on.
    public struct Configuration: Sendable {
        /// Channels of the condition, `c_in`.
        public var inputs = 3
        /// Channels of the residual blocks, `c_proj`.
        public var projected = 2048
        /// Indices of the residual blocks, counted over the whole network, `proj_blocks`; projections are numbered in
        /// this order.
        public var blocks: [Int]
        /// What makes the features of a condition, `bottleneck_mode`.
        public var bottleneckMode = BottleneckMode.effnet
        /// The network of mode effnet, the published ones' EfficientNetV2-S if left out; keys of it stand beside these.
        public var efficientNet: EfficientNet.Configuration

        /// Three channels and the published EfficientNetV2-S, for a Stage C of 2048 channels, unless the arguments say
        /// otherwise.
        public init(
            inputs: Int = 3, projected: Int = 2048, blocks: [Int], bottleneckMode: BottleneckMode = .effnet,
            efficientNet: EfficientNet.Configuration = .init()
        ) {
            self.inputs = inputs
            self.projected = projected
            self.blocks = blocks
            self.bottleneckMode = bottleneckMode
            self.efficientNet = efficientNet
        }

        /// - Throws: a failure of the input that names the key.
        fileprivate func check() throws {
            try Limits.check(inputs, "c_in", 1...Limits.width)
            try Limits.check(projected, "c_proj", 1...Limits.width)
            try Limits.check(blocks.count, "length of proj_blocks", 1...Limits.layers)
            for block in blocks { try Limits.check(block, "proj_blocks", 0...Int.max) }
            guard Set(blocks).count == blocks.count else {
                throw Failure.input(
                    "`proj_blocks` names a block twice", expected: "each index once", got: "\(blocks)")
            }
        }
    }

    /// What the network was made by.
    public let configuration: Configuration
    /// Multiplies what the blocks get; 1 as it was trained.
    public var strength = 1.0
    /// Keeps only the input of each block for the backward pass and computes the rest again.
    public var isCheckpointing: Bool {
        get { backbone.isCheckpointing }
        set { backbone.isCheckpointing = newValue }
    }
    /// What products and activations are computed in, the dtype of the parameters unless something else is set.
    public var computeDType: DType {
        get { backbone.computeDType }
        set { backbone.computeDType = newValue }
    }
    /// Keys `backbone.*`.
    private let backbone: any ControlNetBackbone
    /// Keys `projections.{i}.0.weight` [c, c, 1, 1] and `projections.{i}.2.weight` [c_proj, c, 1, 1], no biases.
    private let projections: [(first: Convolution, last: Convolution)]

    /// Takes `backbone.*` and `projections.*` from a scope.
    /// - Throws: a failure of the input that names a value that can't be.
    public init(_ configuration: Configuration, _ scope: Scope) throws {
        try configuration.check()
        self.configuration = configuration
        let place = scope("backbone")
        let backbone: any ControlNetBackbone =
            switch configuration.bottleneckMode {
            case .effnet:
                try EfficientNet(
                    configuration.efficientNet, inputs: configuration.inputs,
                    stemPadding: configuration.inputs == 3 ? 1 : 0, place)
            case .simple: try SimpleBackbone(inputs: configuration.inputs, place)
            case .large: try LargeBackbone(inputs: configuration.inputs, place)
            }
        projections = try configuration.blocks.indices.map { index in
            let place = scope("projections")(index)
            var first = Convolution.Configuration(backbone.outputs, backbone.outputs, kernel: 1)
            first.bias = false
            var last = Convolution.Configuration(backbone.outputs, configuration.projected, kernel: 1)
            last.bias = false
            // A new ControlNet adds nothing to its base.
            last.initial = .zeros
            return (try Convolution(first, place(0)), try Convolution(last, place(2)))
        }
        self.backbone = backbone
    }

    /// What each block gets, by block index, in ``computeDType``.
    /// - Parameter image: the condition as its filter made it, [B, c_in, H, W] in 0...1 and not normalised.
    /// - Returns: [B, c_proj, h, w] each; the block resizes it to its own input.
    public func callAsFunction(_ image: Tensor) throws -> [Int: Tensor] {
        let features = try features(of: image)
        var outputs: [Int: Tensor] = [:]
        for (block, (first, last)) in zip(configuration.blocks, projections) {
            let output = try last(first(features).leakyReLU(0.2))
            outputs[block] = strength == 1 ? output : try output * strength
        }
        return outputs
    }

    /// Takes the statistics of all batch norms from one pass over conditions [B, c_in, H, W]; only the EffNet backbone
    /// has any.
    public func measureStatistics(on images: Tensor) throws {
        try BatchStatistics.measure(backbone.batchNorms) { try features(of: images) }
    }

    /// [B, c_in, H, W] to [B, c, h, w].
    private func features(of image: Tensor) throws -> Tensor {
        try image.checkShape("image", [nil, configuration.inputs, nil, nil])
        let smallest = configuration.bottleneckMode == .effnet && configuration.inputs != 3 ? 3 : 1
        guard image.size(2) >= smallest, image.size(3) >= smallest else {
            throw Failure.input(
                "`image` is too small", expected: "at least \(smallest) pixels a side", got: "\(image.shape)")
        }
        return try backbone(image)
    }
}
