import AdapterKit
import COpenCV
import Failures
import Settings
import Torch

/// Canny's edges of an image, found at a small size and brought back to the image's.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`.
public struct CannyFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "CannyFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "resize", type: "whole number or null", default: "224",
            "side of the square in which edges are looked for; null looks in the image as it is"),
        FilterParameter(
            "low_threshold", type: "number", default: "100", "gradient from which an edge goes on"),
        FilterParameter(
            "high_threshold", type: "number", default: "200", "gradient at which an edge begins"),
    ]

    /// Side of the square in which edges are looked for; nil leaves the image as it is.
    public let resize: Int?
    /// Gradient from which an edge that has begun goes on, in OpenCV's units of 8-bit images.
    public let lowThreshold: Double
    /// Gradient at which an edge begins.
    public let highThreshold: Double

    /// Reads the three parameters.
    public init(parameters fields: inout Fields) throws {
        resize = try fields.resize()
        lowThreshold = try fields.value("low_threshold", default: 100, .within(0...1e6))
        highThreshold = try fields.value("high_threshold", default: 200, .within(0...1e6))
    }

    /// One: whether there is an edge.
    public var channels: Int { 1 }

    /// Edges [B, 1, H, W], 0 and 1 at the small size, between them where they are brought back to the image's.
    /// - Parameter generator: not used, nothing is random.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let (height, width) = (images.size(2), images.size(3))
        let (rows, columns) = (resize ?? height, resize ?? width)
        let isSized = (rows, columns) != (height, width)
        let small = isSized ? try images.interpolated(height: rows, width: columns) : images
        let outlines = try (0..<small.size(0)).map { try outline(small.selected(0, $0)) }
        let edges = try outlines.count == 1 ? outlines[0] : .concatenated(outlines, dimension: 0)  // [B, 1, h, w]
        let condition = isSized ? try edges.interpolated(height: height, width: width) : edges
        return ControlCondition(
            condition: condition, preview: try condition.expanded([small.size(0), 3, height, width]))
    }

    /// [3, h, w] in 0...1 to [1, 1, h, w] of 0 and 1.
    private func outline(_ image: Tensor) throws -> Tensor {
        let (height, width) = (image.size(1), image.size(2))
        var edges = [UInt8](repeating: 0, count: height * width)
        let rgb = try image.interleavedBytes()
        let (status, message) = withErrorMessage { error, size in
            cascade_canny(rgb, height, width, lowThreshold, highThreshold, &edges, error, size)
        }
        guard status == CASCADE_CV_OK else { throw Failure.input("no edges could be found: \(message)") }
        return try Tensor(plane: edges, height: height, width: width)
    }
}
