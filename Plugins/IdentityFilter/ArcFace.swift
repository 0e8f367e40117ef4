import COpenCV
import Failures
import Images
import Inference

/// The face recogniser ArcFace (Deng et al. 2019) in the layout of insightface's `w600k_r50.onnx`: a face of 112 pixels a
/// side, turned upright, planes of RGB in (value - 127.5) / 127.5, becomes 512 numbers.
///
/// Behaves as `ArcFaceRecognizer` in the reference's `modules/cnet_modules/face_id/arcface.py`.
struct ArcFace: FaceRecognizer {
    private static let side = 112

    /// Where the landmarks of an upright face lie, as insightface's `face_align` has them.
    private static let upright = [
        Point(x: 38.2946, y: 51.6963), Point(x: 73.5318, y: 51.5014), Point(x: 56.0252, y: 71.7366),
        Point(x: 41.5493, y: 92.3655), Point(x: 70.7299, y: 92.2041),
    ]

    private let network: any InferenceNetwork
    private let path: String
    private let output: String

    init(file path: String, on runtime: ONNXRuntime) throws {
        let network = try ONNXRuntimeNetwork(path, on: runtime)
        guard let output = network.outputs.first, network.outputs.count == 1 else {
            throw Failure.input(
                "the network is no face recogniser", at: .init(path), expected: "1 output",
                got: "\(network.outputs.count)")
        }
        self.network = network
        self.path = path
        self.output = output
    }

    func embedding(of face: Face, in image: Image) throws -> [Float] {
        let matrix = Self.similarity(from: face.landmarks, to: Self.upright)
        let planes = try image.blob(
            warpedBy: matrix,
            CascadeCVBlob(
                height: Self.side, width: Self.side, order: CASCADE_CV_PLANES, mean: 127.5, factor: 1 / 127.5))
        let made = try network(Blob(shape: [1, 3, Self.side, Self.side], values: planes), outputs: [output])
        guard let embedding = made.first?.values, embedding.count == embeddingSize else {
            throw Failure.input(
                "the network is no face recogniser", at: .init(path), expected: "\(embeddingSize) numbers",
                got: "\(made.first?.shape ?? [])")
        }
        return normalised(embedding)
    }

    /// The turn, scale and move that bring points nearest to others (least squares, Umeyama 1991), as a matrix of two
    /// rows and three columns; points that are all one are moved.
    static func similarity(from points: [Point], to others: [Point]) -> [Double] {
        let (middle, other) = (centre(points), centre(others))
        var (along, across, size) = (0.0, 0.0, 0.0)
        for (point, target) in zip(points, others) {
            let (x, y) = (point.x - middle.x, point.y - middle.y)
            let (u, v) = (target.x - other.x, target.y - other.y)
            along += x * u + y * v
            across += x * v - y * u
            size += x * x + y * y
        }
        let (cosine, sine) = size > 0 ? (along / size, across / size) : (1, 0)
        return [
            cosine, -sine, other.x - cosine * middle.x + sine * middle.y,
            sine, cosine, other.y - sine * middle.x - cosine * middle.y,
        ]
    }

    private static func centre(_ points: [Point]) -> Point {
        let count = Double(points.count)
        return Point(x: points.reduce(0) { $0 + $1.x } / count, y: points.reduce(0) { $0 + $1.y } / count)
    }
}
