import AdapterKit
import Inference

/// Where a filter's face networks come from: the defaults' and CenterFace, which OpenCV runs, or the user's in ONNX files
/// of insightface, which take ONNX Runtime.
struct FaceModels: Sendable {
    private let detector: FilterModel<any FaceDetector>
    private let recognizer: FilterModel<any FaceRecognizer>
    private let runtime: FilterModel<ONNXRuntime>?

    /// - Parameters:
    ///   - detector: a path that the user gives, known by its name; "centerface" alone is that of `models get`, nil the
    ///     default.
    ///   - recognizer: likewise.
    ///   - leastFace: the shorter side of the smallest face that is looked for, in pixels.
    init(detector detectorPath: String?, recognizer recognizerPath: String?, leastFace: Int) {
        let runtime = FilterModel("onnxruntime", path: ONNXRuntime.named) { try ONNXRuntime(library: $0) }
        func isONNX(_ path: String?) -> Bool { path?.hasSuffix(".onnx") ?? false }
        let isCenterFace = detectorPath?.split(separator: "/").last?.hasPrefix("centerface") ?? false
        detector =
            if isCenterFace {
                FilterModel("centerface", path: detectorPath == "centerface" ? nil : detectorPath) {
                    try CenterFace(file: $0)
                }
            } else if isONNX(detectorPath) {
                FilterModel("buffalo-l", path: detectorPath) { try SCRFD(file: $0, on: runtime.network()) }
            } else {
                FilterModel("mtcnn", path: detectorPath) { try MTCNN(folder: $0, leastFace: leastFace) }
            }
        recognizer =
            isONNX(recognizerPath)
            ? FilterModel("buffalo-l", path: recognizerPath) { try ArcFace(file: $0, on: runtime.network()) }
            : FilterModel("facenet", path: recognizerPath) { try FaceNet(file: $0) }
        self.runtime = isONNX(detectorPath) && !isCenterFace || isONNX(recognizerPath) ? runtime : nil
    }

    var files: [FilterModelFile] { [detector.file, recognizer.file] + (runtime.map { [$0.file] } ?? []) }

    func networks() throws -> (detector: any FaceDetector, recognizer: any FaceRecognizer) {
        (try detector.network(), try recognizer.network())
    }
}
