import Torch
import Weights

/// A tensor that is read, or made of others, when it is asked for; its shape and dtype are known before.
public struct StoredTensor {
    /// Known without the numbers.
    public let shape: [Int]
    /// Known without the numbers.
    public let dtype: DType
    private let make: () throws -> Tensor

    /// - Parameters:
    ///   - shape: of what `make` gives.
    ///   - dtype: likewise.
    ///   - make: reads or makes it, each time that it is asked for.
    public init(shape: [Int], dtype: DType, _ make: @escaping () throws -> Tensor) {
        self.shape = shape
        self.dtype = dtype
        self.make = make
    }

    /// A tensor of a file.
    public init(_ entry: TensorEntry, in file: any NamedTensors) {
        self.init(shape: entry.shape, dtype: entry.dtype) { try file.required(entry.name) }
    }

    /// One that is in memory.
    public init(_ tensor: Tensor) { self.init(shape: tensor.shape, dtype: tensor.dtype) { tensor } }

    /// The tensor itself, read or made now, without gradients.
    public func callAsFunction() throws -> Tensor { try withoutGradients(make) }

    /// The same numbers in another shape of as many elements.
    public func reshaped(_ shape: [Int]) -> StoredTensor {
        shape == self.shape ? self : .init(shape: shape, dtype: dtype) { try make().reshaped(shape) }
    }

    /// Some of the rows.
    public func rows(_ range: Range<Int>) -> StoredTensor {
        .init(shape: [range.count] + shape.dropFirst(), dtype: dtype) { try make().sliced(0, range).contiguous() }
    }

    /// One column so many times, [n, count].
    /// - Precondition: [n, 1].
    public func repeated(_ count: Int) -> StoredTensor {
        precondition(shape.count == 2 && shape[1] == 1)
        let wide = [shape[0], count]
        return .init(shape: wide, dtype: dtype) { try make().expanded(wide).contiguous() }
    }

    /// The same multiplied by a number, in float32; the very same where the number is 1.
    public func scaled(by factor: Double) -> StoredTensor {
        factor == 1 ? self : .init(shape: shape, dtype: .float32) { try make().to(dtype: .float32) * factor }
    }
}

/// Tensors under names of our choice, with texts of our choice: how a foreign file looks once it is converted.
final class TensorView: NamedTensors {
    let path: String
    let entries: [TensorEntry]
    let metadata: [String: String]
    private let tensors: [String: StoredTensor]

    /// - Parameter tensors: names differ.
    init(path: String, _ tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String]) {
        self.path = path
        self.metadata = metadata
        entries = tensors.map { TensorEntry(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) }
        self.tensors = Dictionary(tensors.map { ($0.name, $0.tensor) }) { first, _ in first }
    }

    subscript(name: String) -> TensorEntry? {
        tensors[name].map { TensorEntry(name: name, dtype: $0.dtype, shape: $0.shape) }
    }

    func tensor(_ name: String) throws -> Tensor? { try tensors[name]?() }
}
