import Torch

/// A product with a weight matrix to which an adapter may add something: a linear layer, a 1x1 convolution, or one
/// third of a fused attention projection. Depthwise kernels count as a matrix with one row for each channel.
public final class Projection {
    /// The frozen weight, [out, in]; a view of the stored parameter.
    public let weight: Tensor
    /// The side of depthwise kernels, whose square is `inputs`; nil of any other product.
    public let kernelSide: Int?
    /// What adapters add to the output, each beside the others; empty where nothing is attached.
    public private(set) var additions: [any ProjectionAddition] = []

    public init(weight: Tensor, kernelSide: Int? = nil) {
        self.weight = weight
        self.kernelSide = kernelSide
    }

    public var inputs: Int { weight.size(1) }
    public var outputs: Int { weight.size(0) }

    /// Attaches an addition; one that is attached already stays so.
    public func attach(_ addition: any ProjectionAddition) {
        if !isAttached(addition) { additions.append(addition) }
    }

    /// Detaches an addition and leaves the others.
    public func detach(_ addition: any ProjectionAddition) { additions.removeAll { $0 === addition } }

    public func isAttached(_ addition: any ProjectionAddition) -> Bool { additions.contains { $0 === addition } }

    /// What is attached adds itself to `output`, which the layer computed from `input`.
    /// - Parameter part: which of the inputs of one pass it is, where a layer takes several.
    func added(to output: Tensor, of input: Tensor, part: Int = 0) throws -> Tensor {
        try additions.reduce(output) { try $0 + $1(input, part: part) }
    }
}

/// What an adapter computes beside a frozen product.
public protocol ProjectionAddition: AnyObject {
    /// - Parameters:
    ///   - input: [..., in] as the frozen layer gets it, of depthwise kernels [B, C, H, W].
    ///   - part: 0, or 1 for the second input of a layer that takes two in one pass.
    /// - Returns: [..., out], or [B, C, H, W], to be added to the layer's output, in the input's dtype.
    func callAsFunction(_ input: Tensor, part: Int) throws -> Tensor
}
