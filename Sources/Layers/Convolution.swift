import Torch

/// A convolution over [B, C, H, W].
public final class Convolution {
    public struct Configuration {
        public var inputs: Int
        public var outputs: Int
        public var kernel: Int
        public var stride = 1
        public var padding = 0
        public var dilation = 1
        public var groups = 1
        public var bias = true
        public var transposed = false
        public var initial = Initializer.torchUniform

        public init(_ inputs: Int, _ outputs: Int, kernel: Int) {
            self.inputs = inputs
            self.outputs = outputs
            self.kernel = kernel
        }

        /// Whether each channel has a kernel of its own and the sides stay.
        var isDepthwise: Bool {
            !transposed && groups == inputs && outputs == inputs && stride == 1 && dilation == 1 && kernel % 2 == 1
                && padding == kernel / 2
        }
    }

    /// Weight, [out, in / groups, kernel, kernel]; transposed [in, out / groups, kernel, kernel].
    public let weight: Tensor
    /// Bias, [out].
    public let bias: Tensor?
    private let configuration: Configuration

    public init(_ configuration: Configuration, _ scope: Scope) throws {
        let c = configuration
        let channels = c.transposed ? [c.inputs, c.outputs / c.groups] : [c.outputs, c.inputs / c.groups]
        weight = try scope.parameter("weight", channels + [c.kernel, c.kernel], c.initial)
        bias = c.bias ? try scope.parameter("bias", [c.outputs], .zeros) : nil
        self.configuration = configuration
    }

    /// [B, in, H, W] to [B, out, H', W'].
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        let (weight, bias) = (try weight.to(dtype: x.dtype), try bias?.to(dtype: x.dtype))
        if configuration.isDepthwise { return try x.depthwise(weight, bias: bias) }
        return try x.convolved(
            weight, bias: bias, stride: configuration.stride,
            padding: configuration.padding, dilation: configuration.dilation, groups: configuration.groups,
            transposed: configuration.transposed)
    }
}
