import AdapterKit
import Failures
import Models
import Settings
import Torch

/// Soft edges of an image by PiDiNet, widened by a random disc and cut at a random height.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`.
public struct PidiFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "PidiFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "resize", type: "whole number or null", default: "224",
            "side of the square in which edges are looked for; null looks in the image as it is"),
        FilterParameter(
            "dilation_kernels", type: "list of whole numbers", default: "[0, 3, 5, 7, 9]",
            "widths of the disc that edges are widened by, one chosen at random for each image; 0 leaves them, a single value is fixed"
        ),
        FilterParameter(
            "binarize", type: "true or false", default: "true", "whether edges are made 0 and 1, at a threshold"),
        FilterParameter(
            "threshold", type: "number or list of two", default: "[0.05, 0.7]",
            "range from which the threshold is chosen at random for each image; a single value is fixed"),
        FilterParameter(
            "weights", type: "path or null", default: "null",
            "PiDiNet's weights; null is table5_pidinet.pth where models lie, which `models get pidinet` gets"),
    ]

    /// PiDiNet's weights, which the filter needs.
    public static let models = [PublishedModel.pidinet]

    /// Side of the square in which edges are looked for; nil leaves the image as it is.
    public let resize: Int?
    /// Widths of the disc, one of which is chosen at random; 0 leaves the edges as they are.
    public let dilationKernels: [Int]
    /// Whether edges become 0 and 1.
    public let binarize: Bool
    /// Lowest and highest threshold.
    public let threshold: ClosedRange<Double>
    private let model: FilterModel<PiDiNet>

    /// Reads the parameters; the network is opened when it is first needed.
    public init(parameters fields: inout Fields) throws {
        resize = try fields.resize(atLeast: PiDiNet.leastSide)
        dilationKernels = try fields.choices(
            "dilation_kernels", default: [0, 3, 5, 7, 9],
            "of 0 and from \(Dilation.sides.lowerBound) to \(Dilation.sides.upperBound)"
        ) { $0 == 0 || Dilation.sides.contains($0) }
        binarize = try fields.value("binarize", default: true)
        threshold = try fields.range("threshold", default: 0.05...0.7)
        model = FilterModel(.pidinet, path: try fields.optional("weights")) { try PiDiNet(file: $0) }
    }

    /// One: how surely there is an edge.
    public var channels: Int { 1 }

    /// The file of PiDiNet's weights.
    public var modelFiles: [FilterModelFile] { [model.file] }

    /// Opens PiDiNet.
    /// - Throws: a failure of the input where its file is missing or another.
    public func prepare() throws { _ = try model.network() }

    /// Whether nothing is random, so that an image's condition serves again.
    private var isFixed: Bool {
        dilationKernels.count == 1 && (!binarize || threshold.lowerBound == threshold.upperBound)
    }

    /// Edges [B, 1, H, W] in 0...1.
    /// - Parameter generator: chooses the disc and the threshold, once for all images of a call.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let network = try model.network()
        // Both are drawn where one is fixed, so that this leaves the other as it was.
        let draws = isFixed ? [0, 0] : try generator.uniform([2]).values(as: Double.self)
        let kernel = dilationKernels.value(at: draws[0])
        let height = threshold.value(at: draws[1])

        // One by one: an image's edges are then the same in every batch.
        let conditions = try withoutGradients {
            try (0..<images.size(0)).map { index in
                let image = try images.sliced(0, index..<index + 1)
                var edges = try network(small(image))  // [1, 1, h, w]
                if kernel > 0 { edges = try Dilation.dilated(edges, side: kernel) }
                // Above and not at the threshold.
                if binarize { edges = try (height - edges).isBelow(0).to(dtype: .float32) }
                return try edges.interpolated(height: image.size(2), width: image.size(3))
            }
        }
        let condition = try Tensor.concatenated(conditions, dimension: 0)
        return ControlCondition(
            condition: condition,
            preview: try condition.expanded([condition.size(0), 3, condition.size(2), condition.size(3)]))
    }

    /// The image in which edges are looked for.
    private func small(_ image: Tensor) throws -> Tensor {
        if let resize { return try image.interpolated(height: resize, width: resize) }
        let sides = image.shape.suffix(2)
        guard sides.allSatisfy({ $0 >= PiDiNet.leastSide }) else {
            throw Failure.input(
                "the image is too small for edges to be found in it as it is",
                expected: "at least \(PiDiNet.leastSide) pixels a side", got: "\(sides[3]) x \(sides[2])",
                advice: "set `resize` of \(Self.name)")
        }
        return image
    }
}
