import Failures
import Images
import Inference

/// The face detector SCRFD (Guo et al. 2021) in the layout of insightface's `det_10g.onnx`: nine outputs, which are
/// scores, boxes and landmarks at strides 8, 16 and 32, two faces at most at each place.
///
/// Behaves as `FaceDetector` in the reference's `modules/cnet_modules/face_id/arcface.py`: the image is fitted into the
/// upper left of a black square of 320 pixels.
struct SCRFD: FaceDetector {
    static let side = 320
    static let strides = [8, 16, 32]
    private static let facesAtAPlace = 2
    private static let leastScore: Float = 0.5
    private static let overlapLimit = 0.4

    private let network: any InferenceNetwork
    private let path: String
    /// Their names differ from file to file, their order does not.
    private let outputs: [String]

    init(file path: String, on runtime: ONNXRuntime) throws {
        let network = try ONNXRuntimeNetwork(path, on: runtime)
        guard network.outputs.count == 3 * Self.strides.count else {
            throw Failure.input(
                "the network is no face detector of insightface", at: .init(path), expected: "9 outputs",
                got: "\(network.outputs.count)")
        }
        self.network = network
        self.path = path
        outputs = network.outputs
    }

    func faces(in image: Image) throws -> [Face] {
        let fitted = try FittedImage(image, side: Self.side, mean: 127.5, factor: 1 / 128)
        let made = try network(fitted.blob, outputs: outputs)
        let faces = try Self.strides.indices.flatMap { level in
            try self.faces(
                (made[level], made[level + 3], made[level + 6]), stride: Self.strides[level], scale: fitted.scale)
        }
        return best(of: faces, overlap: .union, limit: Self.overlapLimit) { ($0.box, $0.score) }
    }

    /// The faces of one stride, in pixels of the image, which was scaled by `scale`.
    private func faces(
        _ level: (scores: Blob, boxes: Blob, landmarks: Blob), stride: Int, scale: Double
    ) throws -> [Face] {
        let columns = Self.side / stride
        let count = columns * columns * Self.facesAtAPlace
        let (scores, boxes, landmarks) = (level.scores.values, level.boxes.values, level.landmarks.values)
        guard scores.count == count, boxes.count == 4 * count, landmarks.count == 10 * count else {
            throw Failure.input(
                "the network is no face detector of insightface", at: .init(path),
                expected: "[\(count), 1], [\(count), 4] and [\(count), 10] at stride \(stride)",
                got: "\(level.scores.shape), \(level.boxes.shape) and \(level.landmarks.shape)")
        }
        return scores.indices.filter { scores[$0] >= Self.leastScore }.map { index in
            let place = index / Self.facesAtAPlace
            let (x, y) = (Double(place % columns * stride), Double(place / columns * stride))
            // Distances from the place, in strides.
            let sides = boxes[4 * index..<4 * index + 4].map { Double($0) * Double(stride) }
            let points = landmarks[10 * index..<10 * index + 10].map { Double($0) * Double(stride) }
            return Face(
                box: Box(
                    left: (x - sides[0]) / scale, top: (y - sides[1]) / scale, right: (x + sides[2]) / scale,
                    bottom: (y + sides[3]) / scale),
                landmarks: (0..<5).map { point in
                    Point(x: (x + points[2 * point]) / scale, y: (y + points[2 * point + 1]) / scale)
                },
                score: Double(scores[index]))
        }
    }
}
