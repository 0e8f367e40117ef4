import Failures
import Layers
import Torch
import Weights

/// Stage A: images to latents of four channels at a fourth of their sides, and back (Rampas et al. 2022, Paella).
///
/// Computes the functions of the reference's `modules/stage_a.py`, with its parameter names; activations are
/// channels-last inside.
public final class StageA {
    /// What the network was made by.
    public let configuration: StageAConfiguration
    /// Keys `vquantizer.*`. Neither `encode` nor `decode` goes through it, as in the reference's use of Stage A; its
    /// entries live on the scale of the encoder's output, see `quantize`.
    public let quantizer: VectorQuantizer
    /// The dtype of the products that take most of the time. Norms, sums and activations stay in the weights' dtype.
    public var productDType: DType
    private let encoder: StageAEncoder
    private let decoder: StageADecoder

    /// Takes encoder, quantizer and decoder from a scope.
    /// - Throws: a failure of the input that names a value that can't be.
    public init(_ configuration: StageAConfiguration, _ scope: Scope) throws {
        try configuration.check()
        self.configuration = configuration
        encoder = try StageAEncoder(configuration, scope)
        quantizer = try VectorQuantizer(
            size: configuration.codebookSize, channels: configuration.latentChannels, scope("vquantizer"))
        productDType = quantizer.codebook.dtype
        decoder = try StageADecoder(configuration, scope)
    }

    /// - Parameter images: [B, 3, H, W] in 0...1, sides even.
    /// - Returns: [B, c_latent, H / reduction, W / reduction], rounded down: the encoder's output divided by the scale
    ///   factor.
    public func encode(_ images: Tensor) throws -> Tensor {
        try images.checkShape("images", [nil, 3, nil, nil])
        for side in images.shape[2...] where side % 2 != 0 || side < configuration.reduction {
            throw Failure.input(
                "`images` has a side that stage A cannot take",
                expected: "an even number of at least \(configuration.reduction)", got: "\(images.shape)")
        }
        return try encoder(images.to(dtype: quantizer.codebook.dtype), products: productDType)
            * (1 / configuration.scaleFactor)
    }

    /// - Parameter latents: [B, c_latent, h, w].
    /// - Returns: images [B, 3, h * reduction, w * reduction], about 0...1 and not clamped.
    public func decode(_ latents: Tensor) throws -> Tensor {
        try latents.checkShape("latents", [nil, configuration.latentChannels, nil, nil])
        return try decoder(
            latents.to(dtype: quantizer.codebook.dtype) * configuration.scaleFactor, products: productDType)
    }

    /// The latents with each vector replaced by the nearest of the codebook, [B, c_latent, h, w] to the same.
    public func quantize(_ latents: Tensor) throws -> Tensor {
        try quantizer(latents * configuration.scaleFactor) * (1 / configuration.scaleFactor)
    }
}

/// Squares of four pixels stacked, then a block at each level with a halving before all but the first.
private final class StageAEncoder {
    /// Key `in_block.1`, 1x1.
    private let first: Linear
    /// Keys `down_blocks.0`, `down_blocks.2`, …, each behind its halving `down_blocks.1`, `down_blocks.3`, ….
    private let steps: [(halving: Convolution?, block: MixingBlock)]
    /// The last key of `down_blocks`: `0`, 1x1 without bias, and `1`.
    private let last: Convolution
    private let norm: BatchNorm

    init(_ configuration: StageAConfiguration, _ scope: Scope) throws {
        let (widths, blocks) = (configuration.widths, scope("down_blocks"))
        first = try Linear(
            .init(12, widths[0], initial: .torchUniform, storedAsConvolution: true), scope("in_block")(1))
        steps = try widths.indices.map { level in
            let halving =
                level == 0
                ? nil : try Convolution(.halving(widths[level - 1], widths[level]), blocks(2 * level - 1))
            return (halving, try MixingBlock(widths[level], blocks(2 * level)))
        }
        let end = blocks(2 * widths.count - 1)
        var map = Convolution.Configuration(configuration.hidden, configuration.latentChannels, kernel: 1)
        map.bias = false
        last = try Convolution(map, end(0))
        norm = try BatchNorm(configuration.latentChannels, epsilon: 1e-5, end(1))
    }

    /// [B, 3, H, W] to [B, c_latent, h, w].
    func callAsFunction(_ images: Tensor, products dtype: DType) throws -> Tensor {
        var x = try first(images.pixelUnshuffled(2).channelsLast())  // [B, H / 2, W / 2, c]
        for (halving, block) in steps {
            if let halving { x = try halving(x.channelsFirst()).channelsLast().contiguous() }
            x = try block(x, products: dtype)
        }
        return try norm(last(x.channelsFirst()))
    }
}

/// The blocks of the innermost level, then a doubling and a block for each level outward.
private final class StageADecoder {
    /// Key `up_blocks.0.0`, 1x1.
    private let first: Linear
    /// Keys `up_blocks.1` and so on, in the order they run.
    private let steps: [(Tensor, _ products: DType) throws -> Tensor]
    /// Key `out_block.0`, 1x1.
    private let last: Linear

    init(_ configuration: StageAConfiguration, _ scope: Scope) throws {
        let (widths, blocks) = (configuration.widths, scope("up_blocks"))
        first = try Linear(
            .init(
                configuration.latentChannels, configuration.hidden, initial: .torchUniform, storedAsConvolution: true),
            blocks(0)(0))
        var steps: [(Tensor, DType) throws -> Tensor] = []
        for level in widths.indices.reversed() {
            if level < widths.count - 1 {
                let doubling = try Convolution(.doubling(widths[level + 1], widths[level]), blocks(steps.count + 1))
                steps.append { x, dtype in
                    try doubling(x.to(dtype: dtype).channelsFirst()).channelsLast().contiguous().to(dtype: x.dtype)
                }
            }
            for _ in 0..<(level == widths.count - 1 ? configuration.bottleneckBlocks : 1) {
                let block = try MixingBlock(widths[level], blocks(steps.count + 1))
                steps.append { try block($0, products: $1) }
            }
        }
        self.steps = steps
        last = try Linear(
            .init(widths[0], 12, initial: .torchUniform, storedAsConvolution: true), scope("out_block")(0))
    }

    /// [B, c_latent, h, w] to [B, 3, H, W].
    func callAsFunction(_ latents: Tensor, products dtype: DType) throws -> Tensor {
        let x = try steps.reduce(first(latents.channelsLast())) { try $1($0, dtype) }  // [B, H / 2, W / 2, c]
        return try last(x).channelsFirst().pixelShuffled(2)
    }
}

extension Convolution.Configuration {
    /// 4x4 that halves each side.
    fileprivate static func halving(_ inputs: Int, _ outputs: Int) -> Self {
        var configuration = Self(inputs, outputs, kernel: 4)
        configuration.stride = 2
        configuration.padding = 1
        return configuration
    }

    /// Transposed 4x4 that doubles each side.
    fileprivate static func doubling(_ inputs: Int, _ outputs: Int) -> Self {
        var configuration = halving(inputs, outputs)
        configuration.transposed = true
        return configuration
    }
}

extension StageA {
    /// Stage A in a file, its widths told from the tensors' shapes and its scale factor the published one.
    public static func load(_ file: any NamedTensors, device: Device = .cpu) throws -> StageA {
        let store = ParameterStore(from: StoredParameters(file, ignoring: BatchStatistics.isCounter), device: device)
        let stageA = try StageA(.init(of: file), store.root)
        try store.finish()
        return stageA
    }
}
