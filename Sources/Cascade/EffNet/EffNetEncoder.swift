import Layers
import Torch
import Weights

/// The encoder of Stage C: images to the latents it works on.
public final class EffNetEncoder {
    /// The backbone of an encoder and the channels of its latents.
    public struct Configuration: Equatable, Sendable {
        /// Channels of the latents, `c_latent`.
        public var latentChannels = 16
        /// What makes features of an image.
        public var backbone = EfficientNet.Configuration()

        /// Pixels of an image's side for each of the latents'.
        public var stride: Int { backbone.stride }

        /// The published encoder's, but for the channels of its latents.
        public init(latentChannels: Int = 16) { self.latentChannels = latentChannels }
    }

    /// What the network was made by.
    public let configuration: Configuration
    /// Keys `backbone.*`.
    private let backbone: EfficientNet
    /// Key `mapper.0`, [c_latent, head, 1, 1], no bias.
    private let mapper: Convolution
    /// Key `mapper.1`, statistics alone.
    private let norm: BatchNorm

    /// Takes `backbone.*` and `mapper.*` from a scope.
    /// - Throws: a failure of the input that names a value that can't be.
    public init(_ configuration: Configuration, _ scope: Scope) throws {
        try Limits.check(configuration.latentChannels, "c_latent", 1...Limits.width)
        self.configuration = configuration
        backbone = try EfficientNet(configuration.backbone, scope("backbone"))
        var map = Convolution.Configuration(
            configuration.backbone.head, configuration.latentChannels, kernel: 1)
        map.bias = false
        mapper = try Convolution(map, scope("mapper")(0))
        norm = try BatchNorm(configuration.latentChannels, affine: false, epsilon: 1e-5, scope("mapper")(1))
    }

    /// Images in 0...1 by ImageNet's mean and deviation, as the encoder wants them; [B, 3, H, W] to the same.
    public static func normalised(_ images: Tensor) throws -> Tensor {
        try images.checkShape("images", [nil, 3, nil, nil])
        func constant(_ values: [Float]) throws -> Tensor {
            try Tensor(values, shape: [1, 3, 1, 1]).to(device: images.device).to(dtype: images.dtype)
        }
        return try (images - constant([0.485, 0.456, 0.406])) / constant([0.229, 0.224, 0.225])
    }

    /// The latents of normalised images, in the dtype of the parameters.
    /// - Parameter images: [B, 3, H, W], see `normalised`.
    /// - Returns: [B, c_latent, H / stride, W / stride], rounded up.
    public func encode(_ images: Tensor) throws -> Tensor {
        try images.checkShape("images", [nil, 3, nil, nil])
        return try norm(mapper(backbone(images)))
    }

    /// All batch norms in the order they run, that of the latents last.
    public var batchNorms: [BatchNorm] { backbone.batchNorms + [norm] }

    /// Whether the encoder is trained from nothing: see `BatchNorm.isTraining`. The latents' batch norm, which the
    /// diffusion relies on, is trained with the others.
    public var isTraining = false {
        didSet { for norm in batchNorms { norm.isTraining = isTraining } }
    }

    /// Takes the statistics of all batch norms, the latents' included, from one pass over normalised images.
    public func measureStatistics(on images: Tensor) throws {
        try BatchStatistics.measure(batchNorms) { try encode(images) }
    }
}

extension EffNetEncoder {
    /// The encoder in a file, in float32.
    public static func load(
        _ file: any NamedTensors, _ configuration: Configuration = .init(), device: Device = .cpu
    ) throws -> EffNetEncoder {
        let store = ParameterStore(from: StoredParameters(file, ignoring: BatchStatistics.isCounter), device: device)
        let encoder = try EffNetEncoder(configuration, store.root)
        try store.finish()
        return encoder
    }
}
