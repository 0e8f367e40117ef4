import CONNXRuntime
import Failures

/// A network that ONNX Runtime runs, each call on the thread that makes it.
public final class ONNXRuntimeNetwork: InferenceNetwork, @unchecked Sendable {
    /// Any number of threads may run one session.
    private let session: OpaquePointer
    private let path: String
    /// The names of what the network makes, in the file's order.
    public let outputs: [String]

    /// Opens a file.
    /// - Throws: a failure of the input where it is missing, holds no network, or one with several inputs or one that
    ///   is not of 32-bit numbers.
    public init(_ path: String, on runtime: ONNXRuntime) throws {
        self.path = path
        var opened: OpaquePointer?
        let (status, message) = withErrorMessage { cascade_ort_open(path, &opened, $0, $1) }
        guard status == 0, let opened else {
            throw Failure.input(
                "ONNX Runtime \(runtime.version) reads no network in the file: \(oneLine(message))", at: .init(path))
        }
        session = opened
        outputs = (0..<cascade_ort_output_count(opened)).compactMap { index in
            cascade_ort_output_name(opened, index).map { String(cString: $0) }
        }
    }

    deinit { cascade_ort_close(session) }

    /// Runs the network on the calling thread.
    /// - Throws: a failure of the input where the engine takes no such shape or has no output of a name.
    public func callAsFunction(_ input: Blob, outputs: [String]) throws -> [Blob] {
        var made = [CascadeORTArray](repeating: CascadeORTArray(), count: outputs.count)
        let (status, message) = withErrorMessage { error, size in
            withCStrings(outputs) { names in
                cascade_ort_run(
                    session, input.values, input.shape.map { $0 }, input.shape.count, names, names.count, &made, error,
                    size)
            }
        }
        guard status == 0 else {
            throw Failure.input("ONNX Runtime could not run the network: \(oneLine(message))", at: .init(path))
        }
        defer { cascade_ort_release(&made, made.count) }
        return made.map { array in
            let shape = withUnsafeBytes(of: array.shape) { bytes in
                Array(bytes.bindMemory(to: Int.self).prefix(array.dimensions))
            }
            return Blob(
                shape: shape, values: Array(UnsafeBufferPointer(start: array.values, count: shape.reduce(1, *))))
        }
    }
}
