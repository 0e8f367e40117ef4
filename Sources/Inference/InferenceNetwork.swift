/// A trained network that another engine than ours runs, out of a file in that engine's format.
///
/// For the small networks of filters: detectors, key points, recognisers. Any number of threads may call it at once.
public protocol InferenceNetwork: Sendable {
    /// Runs the network, which has one input.
    /// - Parameters:
    ///   - input: of the shape that the file asks for.
    ///   - outputs: names of layers, as they stand in the file.
    /// - Returns: what those layers made, in their order.
    func callAsFunction(_ input: Blob, outputs: [String]) throws -> [Blob]
}

/// Numbers in row-major order and their shape, as networks of other engines take and make them.
public struct Blob: Sendable, Equatable {
    /// Such as [1, 3, H, W].
    public let shape: [Int]
    /// As many as the product of `shape`; neighbours in the last dimension lie side by side.
    public let values: [Float]

    /// `values` must be as many as the shape has places.
    public init(shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) numbers are not of shape \(shape)")
        self.shape = shape
        self.values = values
    }
}
