import AdapterKit
import Cascade
import Models
import Settings
import Torch

/// A coarse image as Stage C's latents, and as an image to look at.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`; the encoder's file, fixed there to
/// `models/effnet_encoder.safetensors`, can be named.
public struct SREffnetFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "SREffnetFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "scale_factor", type: "number", default: "0.5", "factor for each side of the image, 0.01 to 1"),
        FilterParameter(
            "effnet_checkpoint_path", type: "path or null", default: "null",
            "weights of the EffNet encoder; null takes them where `models get effnet` puts them or from the hub's cache"
        ),
    ]

    /// The EffNet encoder, which the filter needs.
    public static let models = [PublishedModel.effnet]

    /// Part of each side's pixels that is left, 0.01 to 1.
    public let scaleFactor: Double
    private let model: FilterModel<Encoder>

    /// Reads the parameters; the encoder is opened when it is first needed.
    public init(parameters fields: inout Fields) throws {
        scaleFactor = try fields.value("scale_factor", default: 0.5, .within(0.01...1))
        model = FilterModel(.effnet, path: try fields.optional("effnet_checkpoint_path")) { try Encoder(file: $0) }
    }

    /// 16, as the encoder's latents.
    public var channels: Int { 16 }

    /// The file of the EffNet encoder.
    public var modelFiles: [FilterModelFile] { [model.file] }

    /// Opens the encoder.
    /// - Throws: a failure of the input where its file is missing or another.
    public func prepare() throws { _ = try model.network() }

    /// Latents [B, 16, h, w] of the coarse images, repeated to about the size of those of the images.
    /// - Parameter generator: not used, nothing is random.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let coarsening = Coarsening(of: images, by: scaleFactor)
        let coarse = try coarsening.reduced(images)
        let latents = try model.network().latents(of: coarse)  // [B, 16, h / 32, w / 32], rounded up
        let scale = 1 / scaleFactor
        let condition = try latents.resizedToNearest(
            height: Int(Double(latents.size(2)) * scale), width: Int(Double(latents.size(3)) * scale), scale: scale)
        return ControlCondition(condition: condition, preview: try coarsening.restored(coarse))
    }
}

/// The EffNet encoder of a file. Sendable because its passes only read its parameters.
private struct Encoder: @unchecked Sendable {
    private let network: EffNetEncoder

    init(file path: String) throws { network = try EffNetEncoder.load(Checkpoint(path).tensors(of: .effnet)) }

    /// Stage C's latents of images [B, 3, H, W] in 0...1.
    func latents(of images: Tensor) throws -> Tensor {
        try withoutGradients { try network.encode(EffNetEncoder.normalised(images)) }
    }
}
