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
    public let projection: Projection

    public struct Configuration {
        public var inputs: Int
        public var outputs: Int
        public var bias = true
        public var initial = Initializer.xavierUniform()
        /// The checkpoint keeps the weight as a 1x1 convolution's, [out, in, 1, 1].
        public var storedAsConvolution = false

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
        try projection.adapted(x.mixedLinear(weight, bias: bias), of: x)
    }
}
