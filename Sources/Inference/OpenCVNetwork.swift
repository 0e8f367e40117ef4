import COpenCV
import Failures
import Files
import Synchronization

/// A network that OpenCV's dnn module runs.
///
/// One of OpenCV's networks serves one thread at a time, so there are as many as threads call at once; each is opened
/// when it is first needed and kept.
public final class OpenCVNetwork: InferenceNetwork {
    /// The formats that are read.
    public enum Format: Sendable {
        /// ONNX, as PyTorch exports it.
        case onnx
        /// A frozen graph of TensorFlow.
        case tensorFlow
        /// Caffe's weights, with the path of their description.
        case caffe(description: String)
    }

    private let path: String
    private let format: Format
    private let idle: Mutex<[OpenedNetwork]>

    /// Opens a file.
    /// - Throws: a failure of the input where it cannot be read or holds no network.
    public init(_ path: String, _ format: Format) throws {
        self.path = path
        self.format = format
        idle = Mutex([try OpenedNetwork(path, format)])
    }

    /// Runs one of the networks that are idle, or opens another.
    /// - Throws: a failure of the input where the engine takes no such shape or has no layer of a name.
    public func callAsFunction(_ input: Blob, outputs: [String]) throws -> [Blob] {
        let network = try idle.withLock { $0.popLast() } ?? OpenedNetwork(path, format)
        // One that threw is not taken again.
        let made = try network.run(input, outputs)
        idle.withLock { $0.append(network) }
        return made
    }
}

/// One network of OpenCV. Not for two threads at once, which the pool above sees to.
private final class OpenedNetwork: @unchecked Sendable {
    private let network: OpaquePointer
    private let path: String

    init(_ path: String, _ format: OpenCVNetwork.Format) throws {
        self.path = path
        let file = try readFile(path)
        let (kind, description) =
            switch format {
            case .onnx: (CASCADE_CV_ONNX, [UInt8]())
            case .tensorFlow: (CASCADE_CV_TENSORFLOW, [])
            case .caffe(let description): (CASCADE_CV_CAFFE, try readFile(description, limit: 1 << 20))
            }
        var opened: OpaquePointer?
        let (status, message) = withErrorMessage { error, size in
            cascade_network_open(kind, file, file.count, description, description.count, &opened, error, size)
        }
        guard status == CASCADE_CV_OK, let opened else {
            throw Failure.input("OpenCV reads no network in the file: \(oneLine(message))", at: .init(path))
        }
        network = opened
    }

    deinit { cascade_network_close(network) }

    func run(_ input: Blob, _ outputs: [String]) throws -> [Blob] {
        var made = [CascadeCVArray](repeating: CascadeCVArray(), count: outputs.count)
        let (status, message) = withErrorMessage { error, size in
            withCStrings(outputs) { names in
                cascade_network_run(
                    network, input.values, input.shape, input.shape.count, names, names.count, &made, error, size)
            }
        }
        guard status == CASCADE_CV_OK else {
            throw Failure.input("OpenCV could not run the network: \(oneLine(message))", at: .init(path))
        }
        return made.map { array in
            let shape = withUnsafeBytes(of: array.shape) { bytes in
                Array(bytes.bindMemory(to: Int.self).prefix(array.dimensions))
            }
            return Blob(
                shape: shape, values: Array(UnsafeBufferPointer(start: array.values, count: shape.reduce(1, *))))
        }
    }
}
