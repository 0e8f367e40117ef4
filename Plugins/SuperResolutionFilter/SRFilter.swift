import AdapterKit
import Settings
import Torch

/// A coarse image: one pixel in several, as large as all of them.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`: a side that the factor does not divide
/// loses what is over. An image smaller than one coarse pixel becomes one.
public struct SRFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "SRFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "scale_factor", type: "number", default: "0.25", "factor for each side of the image, 0.01 to 1")
    ]

    /// Part of each side's pixels that is left, 0.01 to 1.
    public let scaleFactor: Double

    /// Reads the parameter.
    public init(parameters fields: inout Fields) throws {
        scaleFactor = try fields.value("scale_factor", default: 0.25, .within(0.01...1))
    }

    /// Three: the coarse image in colours.
    public var channels: Int { 3 }

    /// Coarse images [B, 3, h, w] in 0...1, of the sides that the factor divides.
    /// - Parameter generator: not used, nothing is random.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let coarsening = Coarsening(of: images, by: scaleFactor)
        let restored = try coarsening.restored(coarsening.reduced(images))
        return ControlCondition(condition: try coarsening.whole(restored), preview: restored)
    }
}
