import Torch

/// `x · weightᵀ + bias` over the last dimension.
///
/// A weight stored in another dtype than the activations is converted for each product, so a bfloat16 base can be
/// used where only float32 products are fast.
public final class Linear {
    /// Weight, [out, in].
    public let weight: Tensor
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
        let stored = try scope.parameter("weight", shape, configuration.initial)
        weight = stored
        bias = configuration.bias ? try scope.parameter("bias", [outputs], .zeros) : nil
        projection = Projection(weight: try stored.reshaped([outputs, inputs]), bias: bias)
        scope.register(projection)
    }

    /// [..., in] to [..., out].
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        // A trained weight is reshaped here and not once, so that its gradient finds the stored leaf.
        let matrix = weight.rank == 2 ? weight : try weight.reshaped([weight.size(0), weight.size(1)])
        return try projection.adapted(x.mixedLinear(matrix, bias: bias), of: x)
    }
}

extension Tensor {
    /// `linear` with a weight and bias that may be stored in another dtype than the activations.
    ///
    /// A frozen weight that must be converted is converted again for the backward pass instead of being kept.
    public func mixedLinear(_ weight: Tensor, bias: Tensor?) throws -> Tensor {
        let dtype = dtype
        if weight.dtype == dtype { return try linear(weight, bias: bias?.to(dtype: dtype)) }
        if try weight.requiresGrad || !requiresGrad || !gradientsEnabled() {
            return try linear(weight.to(dtype: dtype), bias: bias?.to(dtype: dtype))
        }
        let output = try withoutGradients { try linear(weight.to(dtype: dtype), bias: bias?.to(dtype: dtype)) }
        try recordNode(inputs: [self], outputs: [output]) { gradients in
            try withoutGradients { [try gradients[0]?.matmul(weight.to(dtype: dtype))] }
        }
        return output
    }
}
