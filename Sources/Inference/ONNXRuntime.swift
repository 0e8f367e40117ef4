import CONNXRuntime
import Failures
import Files
import Glibc

/// ONNX Runtime, which runs networks in the ONNX format that OpenCV does not: those that take images of any size.
///
/// A process opens one library and keeps it.
public struct ONNXRuntime: Sendable {
    /// Such as "1.32.0".
    public let version: String

    /// The library that the environment names: `CASCADE_ONNXRUNTIME`, a file.
    public static var named: String? {
        getenv("CASCADE_ONNXRUNTIME").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Opens the library, or finds one opened before.
    /// - Parameter path: the library, or a folder in which a `libonnxruntime.so` of any version lies.
    /// - Throws: a failure of the input where it is missing or none.
    public init(library path: String) throws {
        let file = Folder.isFolder(path) ? try Self.library(in: path) : path
        // The loader would look up a name without a folder elsewhere.
        let (status, message) = withErrorMessage { cascade_ort_load(file.contains("/") ? file : "./\(file)", $0, $1) }
        guard status == 0, let version = cascade_ort_version() else {
            throw Failure.input("ONNX Runtime cannot be opened: \(oneLine(message))", at: .init(file))
        }
        self.version = String(cString: version)
    }

    private static func library(in folder: String) throws -> String {
        // `libonnxruntime_providers_shared.so` lies beside it.
        guard let name = try Folder.names(folder).last(where: { $0.hasPrefix("libonnxruntime.so") }) else {
            throw Failure.input(
                "ONNX Runtime is missing in the folder", at: .init(folder), expected: "libonnxruntime.so",
                advice: "cascade-adapt models get onnxruntime")
        }
        return "\(folder)/\(name)"
    }
}
