import AdapterKit
import Settings
import Torch

/// A coarse picture as Stage C's latents, and as a picture to look at.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`; the encoder's file, fixed there to
/// `models/effnet_encoder.safetensors`, can be named.
public struct SREffnetFilter: ControlFilter {
    public static let name = "SREffnetFilter"

    public static let parameters = [
        FilterParameter(
            "scale_factor", type: "number", default: "0.5", "part of each side's pixels that is left, 0.01 to 1"),
        FilterParameter(
            "effnet_checkpoint_path", type: "path or null", default: "null",
            "weights of the EffNet encoder; null takes them where `models get effnet` puts them or from the hub's cache"
        ),
    ]

    public let scaleFactor: Double
    private let encoder: EncoderFile

    public init(parameters fields: inout Fields) throws {
        scaleFactor = try fields.value("scale_factor", default: 0.5, .within(0.01...1))
        let key = "effnet_checkpoint_path"
        let path: String? = try fields.optional(key)
        encoder = EncoderFile(path, at: fields.setting[key]?.place ?? fields.setting.place)
        // A path that is written is held to at once; that the filters can be listed takes no weights.
        if path != nil { _ = try encoder.found() }
    }

    public var channels: Int { 16 }

    public func callAsFunction(_ pictures: Tensor, generator: Generator) throws -> ControlCondition {
        let rows = Coarsening(of: pictures.size(2), by: scaleFactor)
        let columns = Coarsening(of: pictures.size(3), by: scaleFactor)
        let coarse = try columns.reduced(rows.reduced(pictures, 2), 3)
        let latents = try encoder.latents(of: coarse)  // [B, 16, h / 32, w / 32], rounded up
        let scale = 1 / scaleFactor
        let condition = try latents.repeatedByNearest(2, count: Int(Double(latents.size(2)) * scale), scale: scale)
            .repeatedByNearest(3, count: Int(Double(latents.size(3)) * scale), scale: scale)
        return ControlCondition(condition: condition, preview: try rows.restored(columns.restored(coarse, 3), 2))
    }
}
