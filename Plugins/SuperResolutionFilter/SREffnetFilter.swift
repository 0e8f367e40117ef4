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
    public static let name = "SREffnetFilter"

    public static let parameters = [
        FilterParameter(
            "scale_factor", type: "number", default: "0.5", "factor for each side of the image, 0.01 to 1"),
        FilterParameter(
            "effnet_checkpoint_path", type: "path or null", default: "null",
            "weights of the EffNet encoder; null takes them where `models get effnet` puts them or from the hub's cache"
        ),
    ]

    public static let models = [PublishedModel.effnet]

    public let scaleFactor: Double
    private let model: FilterModel<Encoder>

    public init(parameters fields: inout Fields) throws {
        scaleFactor = try fields.value("scale_factor", default: 0.5, .within(0.01...1))
        model = FilterModel(.effnet, path: try fields.optional("effnet_checkpoint_path")) { try Encoder(file: $0) }
    }

    public var channels: Int { 16 }

    public var modelFiles: [FilterModelFile] { [model.file] }

    public func prepare() throws { _ = try model.network() }

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
