import Torch

/// `x · weightᵀ + bias` over the last dimension.
///
/// A weight stored in another dtype than the activations is converted for each product, so a bfloat16 base can be
/// used where only float32 products are fast; a quantised one is expanded.
public final class Linear {
    /// Weight, [out, in].
    public let weight: Matrix
    /// Bias, [out].
    public let bias: Tensor?
    /// The place where adapters change the output.
    public let projection: Projection

    /// The sizes of a linear layer, how it starts and how a checkpoint keeps it.
    public struct Configuration {
        /// Features of the input's last dimension.
        public var inputs: Int
        /// Features of the output's last dimension.
        public var outputs: Int
        /// Whether a bias is added to the product.
        public var bias = true
        /// How the weight starts where no file gives it; a bias starts at zero.
        public var initial = Initializer.xavierUniform()
        /// The checkpoint keeps the weight as a 1x1 convolution's, [out, in, 1, 1].
        public var storedAsConvolution = false

        /// A layer with a bias whose weight is kept as a matrix, unless the arguments say otherwise.
        public init(
            _ inputs: Int, _ outputs: Int, bias: Bool = true, initial: Initializer = .xavierUniform(),
            storedAsConvolution: Bool = false
        ) {
            self.inputs = inputs
            self.outputs = outputs
            self.bias = bias
            self.initial = initial
            self.storedAsConvolution = storedAsConvolution
        }
    }

    /// Takes `weight` and `bias` from a scope and makes the layer known there as a place for adapters.
    public init(_ configuration: Configuration, _ scope: Scope) throws {
        let (inputs, outputs) = (configuration.inputs, configuration.outputs)
        let shape = configuration.storedAsConvolution ? [outputs, inputs, 1, 1] : [outputs, inputs]
        weight = try scope.matrix("weight", shape, configuration.initial)
        bias = configuration.bias ? try scope.parameter("bias", [outputs], .zeros) : nil
        projection = Projection(weight: weight, bias: bias)
        scope.register(projection)
    }

    /// [..., in] to [..., out].
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.adaptedLinear(weight, bias: bias, [projection])
    }
}
