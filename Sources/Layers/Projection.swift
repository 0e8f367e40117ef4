import Torch

/// A product with a weight matrix to which an adapter may add something: a linear layer, a 1x1 convolution, or one
/// third of a fused attention projection.
public final class Projection {
    /// The frozen weight, [out, in]; a view of the stored parameter.
    public let weight: Tensor
    /// What an adapter adds to the output; nil where nothing is attached.
    public var addition: (any ProjectionAddition)?

    public init(weight: Tensor) { self.weight = weight }

    public var inputs: Int { weight.size(1) }
    public var outputs: Int { weight.size(0) }

    /// What is attached adds itself to `output`, which the layer computed from `input`.
    func added(to output: Tensor, of input: Tensor) throws -> Tensor {
        guard let addition else { return output }
        return try output + addition(input)
    }
}

/// What an adapter computes beside a frozen product.
public protocol ProjectionAddition: AnyObject {
    /// - Parameter input: [..., in] as the frozen layer gets it.
    /// - Returns: [..., out] to be added to the layer's output, in the input's dtype.
    func callAsFunction(_ input: Tensor) throws -> Tensor
}
