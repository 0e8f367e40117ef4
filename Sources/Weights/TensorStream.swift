import Torch

/// Tensors that are made one after the other, as each is written, so that never all of them are there at once.
public struct TensorStream {
    /// What each tensor is called, its type and its shape, known before any is made.
    public let entries: [TensorEntry]
    let tensor: (Int) throws -> Tensor

    /// - Parameter tensor: makes the one at a place of the entries, of its type and shape.
    public init(_ entries: [TensorEntry], _ tensor: @escaping (Int) throws -> Tensor) {
        (self.entries, self.tensor) = (entries, tensor)
    }

    /// Makes all of them as a file would take them, and keeps none: what a process does while another one writes them, where
    /// each is made by all processes together.
    public func pass() throws {
        for position in SafetensorsHeader(entries, metadata: [:]).order { _ = try tensor(position) }
    }
}
