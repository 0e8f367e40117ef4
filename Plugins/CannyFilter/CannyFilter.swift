import AdapterKit
import COpenCV
import Failures
import Settings
import Torch

/// Canny's edges of a picture, found at a small size and brought back to the picture's.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`.
public struct CannyFilter: ControlFilter {
    public static let name = "CannyFilter"

    public static let parameters = [
        FilterParameter(
            "resize", type: "whole number or null", default: "224",
            "side of the square in which edges are looked for; null looks in the picture as it is"),
        FilterParameter(
            "low_threshold", type: "number", default: "100", "gradient from which an edge goes on"),
        FilterParameter(
            "high_threshold", type: "number", default: "200", "gradient at which an edge begins"),
    ]

    /// Side of the square in which edges are looked for; nil leaves the picture as it is.
    public let resize: Int?
    public let lowThreshold: Double
    public let highThreshold: Double

    public init(parameters fields: inout Fields) throws {
        resize = try fields.resize()
        lowThreshold = try fields.value("low_threshold", default: 100, .within(0...1e6))
        highThreshold = try fields.value("high_threshold", default: 200, .within(0...1e6))
    }

    public var channels: Int { 1 }

    public func callAsFunction(_ pictures: Tensor, generator: Generator) throws -> ControlCondition {
        let (height, width) = (pictures.size(2), pictures.size(3))
        var small = pictures
        if let resize { small = try small.resized(height: resize, width: resize, alignCorners: false) }
        // Truncated and not rounded, as a cast in numpy does.
        let bytes = try (small * 255).to(dtype: .uint8).permuted([0, 2, 3, 1]).contiguous()  // [B, h, w, 3]
        let edges = try Tensor.stacked((0..<bytes.size(0)).map { try outline(bytes.selected(0, $0)) })  // [B, 1, h, w]
        let condition =
            resize == nil ? edges : try edges.resized(height: height, width: width, alignCorners: false)
        return ControlCondition(condition: condition, preview: try condition.repeated([1, 3, 1, 1]))
    }

    /// [h, w, 3] uint8 to [1, h, w] of 0 and 1.
    private func outline(_ picture: Tensor) throws -> Tensor {
        let (height, width) = (picture.size(0), picture.size(1))
        var edges = [UInt8](repeating: 0, count: height * width)
        var message = [CChar](repeating: 0, count: 256)
        let status = try picture.contiguous().withBytes { rgb in
            cascade_canny(
                rgb.bindMemory(to: UInt8.self).baseAddress, height, width, lowThreshold, highThreshold, &edges,
                &message, message.count)
        }
        guard status == CASCADE_CV_OK else {
            let text = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw Failure.input("no edges could be found: \(text)")
        }
        return try Tensor(edges, shape: [1, height, width]).to(dtype: .float32) / 255
    }
}
