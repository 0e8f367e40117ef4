import Layers
import Torch

/// Stage B: predicts the noise in Stage A's latents, by the latents of Stage C and the pooled text.
///
/// Computes the function of the reference's `modules/stage_b.py`, with its parameter names; activations are
/// channels-last inside.
public final class StageB {
    /// What a prediction depends on beside the latents and the time.
    public struct Conditions {
        /// Stage C's latents, or the EffNet encoder's, [B, effnetChannels, h, w]; resized bilinearly to the latents.
        public var effnet: Tensor
        /// Pooled text, [B, L, clipWidth].
        public var clip: Tensor
        /// An image, [B, pixelChannels, h, w], resized likewise; left out it counts as zeros.
        public var pixels: Tensor?
        /// Times [B] of the configured conditions; one left out counts as 0.
        public var times: [String: Tensor] = [:]
        /// What is dropped in training; nil drops nothing.
        public var dropout: DropoutPass?
        /// What is kept from step to step of sampling; nil keeps nothing.
        public var kept: KeptCondition?

        /// Without an image, time conditions and dropout, which may be set afterwards.
        public init(effnet: Tensor, clip: Tensor) {
            self.effnet = effnet
            self.clip = clip
        }
    }

    /// What the network was made by.
    public let configuration: StageBConfiguration
    /// Keeps only the input of each residual block with those behind it, and computes the rest again for the backward pass.
    public var isCheckpointing: Bool {
        get { levels.isCheckpointing }
        set { levels.isCheckpointing = newValue }
    }

    /// Where processes share the network; nil where each has all of it.
    public var shared: SharedBlocks? {
        get { levels.shared }
        set { levels.shared = newValue }
    }

    /// What is passed in one piece, in the order of a pass: all of the network.
    public var blocks: [NetworkBlock] {
        let first = ["embedding", "effnet_mapper", "pixels_mapper", "clip_mapper"]
        return [NetworkBlock(first[0], paths: first)] + levels.blocks + [NetworkBlock("clf", paths: ["clf"])]
    }

    private let embedding: PatchEmbedding
    private let effnetMapper: ImageMapper
    private let pixelsMapper: ImageMapper
    private let clipMapper: Linear
    private let levels: Levels
    private let classifier: PatchClassifier

    /// Takes the parameters from the scope of the whole network.
    /// - Throws: a failure of the input that names a value that can't be.
    public init(_ configuration: StageBConfiguration, _ root: Scope) throws {
        try configuration.check()
        self.configuration = configuration
        let c = configuration
        effnetMapper = try ImageMapper(c.effnetChannels, c.hidden[0], root("effnet_mapper"))
        pixelsMapper = try ImageMapper(c.pixelChannels, c.hidden[0], root("pixels_mapper"))
        clipMapper = try Linear(
            .init(c.clipWidth, c.conditionWidth * c.clipSequence, initial: .normal(deviation: 0.02)),
            root("clip_mapper"))
        embedding = try PatchEmbedding(c, root)
        levels = try Levels(c, root)
        classifier = try PatchClassifier(c, root)
    }

    /// Predicts the noise.
    /// - Parameters:
    ///   - latents: [B, inputs, H, W], in the dtype to compute in.
    ///   - time: [B], the noise condition in 0...1.
    /// - Returns: [B, outputs, H, W].
    public func callAsFunction(_ latents: Tensor, time: Tensor, _ conditions: Conditions) throws -> Tensor {
        let c = configuration
        try c.check(latents: latents)
        try conditions.effnet.checkShape("effnet", [nil, c.effnetChannels, nil, nil])
        let times = try c.timeEmbeddings(time, conditions.times)
        let pooled = conditions.clip
        try pooled.checkShape("clip", [nil, nil, c.clipWidth])
        try shared?.beginPass()
        let kept = conditions.kept
        let tokens = try kept.value(of: clipMapper) {
            try shared.run("embedding", [pooled]) { [clipMapper] inputs in
                try clipMapper(inputs[0]).reshaped([inputs[0].size(0), -1, c.conditionWidth])
                    .layerNorm(size: c.conditionWidth, epsilon: 1e-6).silu()  // [B, L * clipSequence, conditionWidth]
            }
        }
        let inputs = [latents, conditions.effnet] + (conditions.pixels.map { [$0] } ?? [])
        let x = try shared.run("embedding", inputs) { [self] in
            try embedded($0[0], effnet: $0[1], pixels: $0.count > 2 ? $0[2] : nil, kept)
        }
        let context = BlockContext(times: times, activatedCondition: tokens, kept: kept)
        let y = try levels(x, context, dropout: conditions.dropout)
        return try shared.run("clf", [y]) { [classifier] in try classifier($0[0]) }
    }

    /// [B, h, w, hidden[0]].
    private func embedded(
        _ latents: Tensor, effnet: Tensor, pixels: Tensor?, _ kept: KeptCondition?
    ) throws -> Tensor {
        let x = try embedding(latents)
        let mapped = try kept.value(of: effnetMapper) {
            try effnetMapper(effnet.resized(height: x.size(1), width: x.size(2), alignCorners: true))
        }
        return try x + mapped + kept.value(of: pixelsMapper) { try self.pixels(pixels, like: x) }
    }

    /// What the image adds to activations, [B, h, w, hidden[0]]; it is mapped before it is resized.
    private func pixels(_ pixels: Tensor?, like x: Tensor) throws -> Tensor {
        guard let pixels else {
            let nothing = try Tensor.zeros([1, configuration.pixelChannels, 1, 1], dtype: x.dtype, device: x.device)
            return try pixelsMapper(nothing)
        }
        try pixels.checkShape("pixels", [nil, configuration.pixelChannels, nil, nil])
        return try pixelsMapper(pixels).resizedChannelsLast(height: x.size(1), width: x.size(2))
    }
}

/// An image-like condition to the first level's width: 1x1 convolution, GELU, 1x1 convolution, layer norm.
private final class ImageMapper {
    /// Keys `0`, [4c, in, 1, 1], and `2`, [c, 4c, 1, 1].
    private let widen: Linear
    private let narrow: Linear

    init(_ inputs: Int, _ width: Int, _ scope: Scope) throws {
        func convolution(_ inputs: Int, _ outputs: Int, _ scope: Scope) throws -> Linear {
            try Linear(
                .init(inputs, outputs, initial: .normal(deviation: 0.02), storedAsConvolution: true), scope)
        }
        widen = try convolution(inputs, 4 * width, scope(0))
        narrow = try convolution(4 * width, width, scope(2))
    }

    /// [B, in, h, w] to [B, h, w, c].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try narrow(widen(x.channelsLast()).gelu())
        return try y.layerNorm(size: y.size(3), epsilon: 1e-6)
    }
}
