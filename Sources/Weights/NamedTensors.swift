import Failures
import Torch

/// Tensors by name that are read when they are asked for: a file, several that belong together, or a view of those
/// under other names.
public protocol NamedTensors: AnyObject {
    /// Where they come from, for messages.
    var path: String { get }
    /// What there is, in the order of the file.
    var entries: [TensorEntry] { get }
    /// The texts that the file carries beside its tensors.
    var metadata: [String: String] { get }
    /// What is known of the tensor of a name; nil where there is none.
    subscript(name: String) -> TensorEntry? { get }
    /// The tensor of a name, on the CPU; nil where there is none. It may be a view of a mapped file.
    func tensor(_ name: String) throws -> Tensor?
    /// What a name is, or would be, called where the tensors are stored, for messages; the name itself unless this is
    /// a view under other names.
    func storedName(of name: String) -> String
    /// Says that nobody keeps a view of a tensor, so that the memory of what was read of it can go.
    func release(_ name: String)
}

extension NamedTensors {
    public func storedName(of name: String) -> String { name }
    public func release(_ name: String) {}

    /// The tensor of a name.
    /// - Throws: a failure of the input where there is none.
    public func required(_ name: String) throws -> Tensor {
        guard let tensor = try tensor(name) else {
            throw Failure.input("there is no tensor `\(name)`", at: Failure.Place(path))
        }
        return tensor
    }
}

/// What is known of a stored tensor before it is read.
public struct TensorEntry: Sendable {
    public let name: String
    public let dtype: DType
    public let shape: [Int]

    public init(name: String, dtype: DType, shape: [Int]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }

    public var count: Int { shape.reduce(1, *) }
    public var byteCount: Int { count * dtype.size }

    /// The bytes of a tensor of a declared shape; nil where a size is negative or they cannot be counted. Sizes of zero
    /// do not hide what the others come to.
    static func byteCount(_ shape: [Int], _ dtype: DType) -> Int? {
        var bytes = dtype.size
        for size in shape {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: max(size, 1))
            guard size >= 0, !overflow else { return nil }
            bytes = product
        }
        return shape.contains(0) ? 0 : bytes
    }
}
