import AdapterKit
import Cascade
import Images
import Models
import Settings
import Torch

/// Who is where: the numbers that tell a face apart, in the cells of the latents' grid that its box covers.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`.
public struct IdentityFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "IdentityFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "max_faces", type: "whole number or null", default: "4",
            "how many faces count, the large ones in the middle first; null and 0 take all"),
        FilterParameter(
            "p_drop", type: "number", default: "0.05",
            "probability that a face is left out"),
        FilterParameter(
            "p_full", type: "number", default: "0.3",
            "probability that the only face of an image fills the whole grid"),
        FilterParameter(
            "min_face", type: "whole number", default: "20",
            "the shorter side of the smallest face that counts, in pixels; the larger, the faster is the default detector"
        ),
        FilterParameter(
            "detector", type: "path or null", default: "null",
            "the user's `det_10g.onnx`, `centerface` as `models get` has it or as a file of that name, or a folder of"
                + " MTCNN's networks; null is that of `models get mtcnn`"),
        FilterParameter(
            "stride", type: "whole number", default: "32",
            "pixels of an image's side for each of the latents', the model's where a configuration names one"),
        FilterParameter(
            "recognizer", type: "path or null", default: "null",
            "the user's `w600k_r50.onnx`, or FaceNet's frozen graph; null is that of `models get facenet`"),
    ]

    /// The detectors and recognisers that the filter may take.
    public static let models = FaceModels.all

    /// The condition lies on the grid of the latents, whose cells this parameter measures.
    public static let strideParameter: String? = "stride"

    /// How many faces of an image count; nil takes all.
    public let maxFaces: Int?
    /// Probability, 0...1, that a face is left out.
    public let dropProbability: Double
    /// Probability, 0...1, that the only face of an image fills the whole grid.
    public let fullProbability: Double
    /// The shorter side of the smallest face that counts, in pixels.
    public let leastFace: Int
    /// The side of a cell of the grid, in pixels.
    public let stride: Int
    let models: FaceModels

    /// Reads the parameters; the networks are opened when they are first needed.
    public init(parameters fields: inout Fields) throws {
        let limit: Int? = try fields.nullable("max_faces", default: 4, .within(0...1_000_000))
        maxFaces = limit == 0 ? nil : limit
        dropProbability = try fields.value("p_drop", default: 0.05, .within(0...1))
        fullProbability = try fields.value("p_full", default: 0.3, .within(0...1))
        leastFace = try fields.value("min_face", default: 20, .within(1...8192))
        stride = try fields.value("stride", default: EffNetEncoder.Configuration().stride, .within(1...256))
        models = FaceModels(
            detector: try fields.optional("detector"), recognizer: try fields.optional("recognizer"),
            leastFace: leastFace)
    }

    /// 512, the numbers that tell a face apart.
    public var channels: Int { embeddingSize }

    /// The files of the detector and of the recogniser.
    public var modelFiles: [FilterModelFile] { models.files }

    /// Opens detector and recogniser.
    /// - Throws: a failure of the input where a file is missing or another.
    public func prepare() throws { _ = try models.networks() }

    /// Grids [B, 512, rows, columns], zeros but in the cells of faces.
    /// - Parameter generator: decides for each face whether it is left out, and whether it fills the grid.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let networks = try models.networks()
        let (height, width) = (images.size(2), images.size(3))
        var grids: [Tensor] = []
        var previews: [Tensor] = []
        for index in 0..<images.size(0) {
            let image = Image(
                width: width, height: height, pixels: try images.selected(0, index).interleavedBytes())
            let faces = chosen(try networks.detector.faces(in: image), in: image)
            // Both numbers are drawn for every face, so that fixing one leaves the other as it was.
            let draws = try faces.isEmpty ? [] : generator.uniform([2 * faces.count]).values(as: Double.self)
            var grid = IdentityGrid(width: width, height: height, stride: stride)
            for (place, face) in faces.enumerated() where draws[2 * place] >= dropProbability {
                let isFull = faces.count == 1 && draws[2 * place + 1] < fullProbability
                grid.write(
                    try networks.recognizer.embedding(of: face, in: image), number: place,
                    in: isFull ? grid.all : grid.cells(of: face.box))
            }
            grids.append(try grid.condition())
            previews.append(try grid.preview(over: images.selected(0, index)))
        }
        return ControlCondition(condition: try .stacked(grids), preview: try .stacked(previews))
    }

    /// The faces that count. Of too many, those whose area less twice the squared distance from the image's middle is
    /// the largest, as in the reference.
    private func chosen(_ faces: [Face], in image: Image) -> [Face] {
        let faces = faces.filter { $0.isFinite && min($0.box.width, $0.box.height) >= Double(leastFace) }
        guard let maxFaces, faces.count > maxFaces else { return faces }
        func value(_ box: Box) -> Double {
            let x = (box.left + box.right) / 2 - Double(image.width / 2)
            let y = (box.top + box.bottom) / 2 - Double(image.height / 2)
            return box.width * box.height - 2 * (x * x + y * y)
        }
        return Array(faces.sorted { value($0.box) > value($1.box) }.prefix(maxFaces))
    }
}
