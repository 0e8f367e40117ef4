import AdapterKit
import Models
import Settings
import Torch

/// An image from which what matters is cut out, or all the rest, and the mask of what was cut.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`.
public struct InpaintFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "InpaintFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "threshold", type: "number or list of two", default: "[0.04, 0.4]",
            "range from which the saliency is drawn, for each image, above which a place is cut out; one number is"
                + " fixed; `thresold` is read too"),
        FilterParameter(
            "p_outpaint", type: "number", default: "0.4",
            "probability that everything else is cut out instead"),
        FilterParameter(
            "saliency", type: "path or null", default: "null",
            "weights of the reference's saliency network (`models get saliency`); null is OpenCV's fine-grained"
                + " saliency, which needs none"),
        FilterParameter(
            "mask", type: "path or null", default: "null",
            "an image that says what to cut out of every image: what is opaque where it has an alpha channel, else"
                + " what is white; nothing is drawn then. A mask for each image, under `masks` of a configuration,"
                + " comes before it"),
    ]

    /// A mask of an image says what is cut out of it, and nothing is random then.
    public static let takesMasks = true

    /// The reference's saliency network, which the filter can do without.
    public static let models = [PublishedModel.saliency]

    /// Lowest and highest threshold.
    public let threshold: ClosedRange<Double>
    /// Probability, 0...1, that all but what is salient is cut out.
    public let outpaintProbability: Double
    let saliency: Saliency
    private let mask: GivenMask?

    /// Reads the parameters and the file of `mask`.
    public init(parameters fields: inout Fields) throws {
        // Configurations of the reference spell it so.
        let spelling = fields.contains("thresold") && !fields.contains("threshold") ? "thresold" : "threshold"
        threshold = try fields.range(spelling, default: 0.04...0.4)
        outpaintProbability = try fields.value("p_outpaint", default: 0.4, .within(0...1))
        let path: String? = try fields.optional("saliency")
        saliency =
            path.map { path in .network(FilterModel(.saliency, path: path) { try SaliencyNetwork(file: $0) }) }
            ?? .fineGrained
        mask = try fields.optional("mask").map { try GivenMask($0) }
    }

    /// Four: the image and the mask.
    public var channels: Int { 4 }

    /// The file of the saliency network where it is named and no mask is.
    public var modelFiles: [FilterModelFile] {
        if case .network(let model) = saliency, mask == nil { return [model.file] }
        return []
    }

    /// Opens the saliency network where it is named and no mask is.
    public func prepare() throws {
        if case .network(let model) = saliency, mask == nil { _ = try model.network() }
    }

    /// Where the masks come from, or what is wrong with the one that is given.
    public var remark: String? {
        if let mask { return mask.complaint ?? "the mask is given" }
        return switch saliency {
        case .network: "saliency is that of the reference's network"
        case .fineGrained: "saliency is OpenCV's fine-grained one, for `saliency` names no weights"
        }
    }

    /// Whether nothing is random, so that an image's condition serves again.
    private var isFixed: Bool {
        mask != nil || threshold.lowerBound == threshold.upperBound && [0, 1].contains(outpaintProbability)
    }

    /// The images, white where they are cut out, with the mask, [B, 4, H, W].
    /// - Parameter generator: chooses the threshold and what is cut out, once for all images of a call.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        // Both are drawn where one is fixed, so that this leaves the other as it was.
        let draws = isFixed ? [0, 0] : try generator.uniform([2]).values(as: Double.self)
        let height = threshold.value(at: draws[0])
        let isOutpainting = draws[1] < outpaintProbability
        // One by one: an image's mask is then the same in every batch.
        let masks = try withoutGradients {
            try (0..<images.size(0)).map { index in
                try hole(in: images.sliced(0, index..<index + 1), above: height, isOutpainting)
            }
        }
        return try cut(images, where: .concatenated(masks, dimension: 0))
    }

    /// The same with masks that are given, cut at 0.5.
    public func callAsFunction(_ images: Tensor, masks: Tensor, generator: Generator) throws -> ControlCondition {
        try cut(images, where: (0.5 - masks).isBelow(0).to(dtype: .float32))
    }

    /// - Parameter mask: [B, 1, H, W] of 0 and 1.
    private func cut(_ images: Tensor, where mask: Tensor) throws -> ControlCondition {
        // White where it is cut out.
        let kept = try images * (1 - mask) + mask
        return ControlCondition(condition: try .concatenated([kept, mask], dimension: 1), preview: kept)
    }

    /// What is cut out of an image [1, 3, H, W]: [1, 1, H, W] of 0 and 1.
    private func hole(in image: Tensor, above threshold: Double, _ isOutpainting: Bool) throws -> Tensor {
        let (height, width) = (image.size(2), image.size(3))
        if let mask { return try mask.sized(height: height, width: width) }
        var matters = try (threshold - saliency(image)).isBelow(0).to(dtype: .float32)
        if isOutpainting { matters = try 1 - matters }
        let sized = try matters.resizedToNearest(height: height, width: width)
        return try (0.5 - GaussianBlur(width: 141)(sized)).isBelow(0).to(dtype: .float32)
    }
}
