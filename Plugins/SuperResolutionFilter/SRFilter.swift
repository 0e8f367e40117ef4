import AdapterKit
import Settings
import Torch

/// A coarse image: one pixel in several, as large as all of them.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`: a side that the factor does not divide
/// loses what is over. An image smaller than one coarse pixel becomes one.
public struct SRFilter: ControlFilter {
    public static let name = "SRFilter"

    public static let parameters = [
        FilterParameter(
            "scale_factor", type: "number", default: "0.25", "factor for each side of the image, 0.01 to 1")
    ]

    public let scaleFactor: Double

    public init(parameters fields: inout Fields) throws {
        scaleFactor = try fields.value("scale_factor", default: 0.25, .within(0.01...1))
    }

    public var channels: Int { 3 }

    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let coarsening = Coarsening(of: images, by: scaleFactor)
        let restored = try coarsening.restored(coarsening.reduced(images))
        return ControlCondition(condition: try coarsening.whole(restored), preview: restored)
    }
}
