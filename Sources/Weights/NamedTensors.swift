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
    /// The name itself: this is no view under other names.
    public func storedName(of name: String) -> String { name }
    /// Nothing to take out of memory.
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
    /// In a file or a view of it; names differ by their bytes.
    public let name: String
    /// The type of the stored elements.
    public let dtype: DType
    /// Sizes, the outermost first; empty for a single number.
    public let shape: [Int]

    /// Takes the values as they are: none is checked.
    public init(name: String, dtype: DType, shape: [Int]) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }

    /// All elements; a shape from a file is checked before.
    public var count: Int { shape.reduce(1, *) }
    /// Bytes of the elements as they are stored.
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
