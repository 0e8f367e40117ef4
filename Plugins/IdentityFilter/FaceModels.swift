import AdapterKit
import Inference
import Models

/// Where a filter's face networks come from: the defaults' and CenterFace, which OpenCV runs, or the user's in ONNX files
/// of insightface, which take ONNX Runtime.
struct FaceModels: Sendable {
    static let all: [PublishedModel] = [.mtcnn, .centerface, .facenet, .onnxRuntime, .buffaloL]

    private let detector: FilterModel<any FaceDetector>
    private let recognizer: FilterModel<any FaceRecognizer>
    private let runtime: FilterModel<ONNXRuntime>?

    /// - Parameters:
    ///   - detector: a path that the user gives, known by its name; "centerface" alone is that of `models get`, nil the
    ///     default.
    ///   - recognizer: likewise.
    ///   - leastFace: the shorter side of the smallest face that is looked for, in pixels.
    init(detector detectorPath: String?, recognizer recognizerPath: String?, leastFace: Int) {
        let runtime = FilterModel(.onnxRuntime, path: ONNXRuntime.named) { try ONNXRuntime(library: $0) }
        func isONNX(_ path: String?) -> Bool { path?.hasSuffix(".onnx") ?? false }
        let isCenterFace = detectorPath?.split(separator: "/").last?.hasPrefix("centerface") ?? false
        detector =
            if isCenterFace {
                FilterModel(.centerface, path: detectorPath == "centerface" ? nil : detectorPath) {
                    try CenterFace(file: $0)
                }
            } else if isONNX(detectorPath) {
                FilterModel(.buffaloL, path: detectorPath) { try SCRFD(file: $0, on: runtime.network()) }
            } else {
                FilterModel(.mtcnn, path: detectorPath) { try MTCNN(folder: $0, leastFace: leastFace) }
            }
        recognizer =
            isONNX(recognizerPath)
            ? FilterModel(.buffaloL, path: recognizerPath) { try ArcFace(file: $0, on: runtime.network()) }
            : FilterModel(.facenet, path: recognizerPath) { try FaceNet(file: $0) }
        self.runtime = isONNX(detectorPath) && !isCenterFace || isONNX(recognizerPath) ? runtime : nil
    }

    var files: [FilterModelFile] { [detector.file, recognizer.file] + (runtime.map { [$0.file] } ?? []) }

    func networks() throws -> (detector: any FaceDetector, recognizer: any FaceRecognizer) {
        (try detector.network(), try recognizer.network())
    }
}

extension PublishedModel {
    /// What ArcFace and SCRFD read.
    fileprivate static let buffaloL = PublishedModel(
        name: "buffalo-l", description: "face detector and recogniser det_10g.onnx, w600k_r50.onnx",
        source: .byHand("buffalo_l.zip of the releases of github.com/deepinsight/insightface"),
        licence: "non-commercial research", megabytes: 290)

    fileprivate static let onnxRuntime = PublishedModel(
        name: "onnxruntime", description: "a library that runs ONNX models which OpenCV can't",
        source: onnxRuntimeSource,
        licence: "MIT", megabytes: 35)

    private static var onnxRuntimeSource: Source {
        #if arch(x86_64)
            .package(
                PythonPackage(
                    name: "onnxruntime", version: "1.32.0",
                    kind: .wheelFor(python: "3.11", platform: "manylinux_2_28_x86_64"),
                    sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
                    files: [
                        .init(
                            path: "onnxruntime/capi/libonnxruntime.so.1.32.0", bytes: 34_824_680,
                            sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f")
                    ]))
        #else
            .byHand("the Python package onnxruntime: libonnxruntime.so")
        #endif
    }
}
