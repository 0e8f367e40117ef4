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

        /// Whether each channel has a kernel of its own, padded by half of it.
        var isDepthwise: Bool {
            !transposed && groups == inputs && outputs == inputs && dilation == 1 && kernel % 2 == 1
                && padding == kernel / 2
        }

        /// Whether each place is multiplied by one matrix.
        var isPointwise: Bool { !transposed && kernel == 1 && stride == 1 && padding == 0 && groups == 1 }
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
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try convolved(x, weight, bias) }

    /// The same, and then a fixed batch norm, for convolutions that are not transposed. The kernels take its factors, in
    /// float32, so that activations are read once.
    public func callAsFunction(_ x: Tensor, _ norm: BatchNorm) throws -> Tensor {
        let (scale, shift) = try norm.factors()
        let kernels = try weight.to(dtype: .float32) * scale.reshaped([-1, 1, 1, 1])
        let moved = try bias.map { try $0.to(dtype: .float32) * scale + shift } ?? shift
        return try convolved(x, kernels, moved)
    }

    private func convolved(_ x: Tensor, _ weight: Tensor, _ bias: Tensor?) throws -> Tensor {
        let (weight, bias) = (try weight.to(dtype: x.dtype), try bias?.to(dtype: x.dtype))
        if configuration.isDepthwise { return try x.depthwise(weight, bias: bias, stride: configuration.stride) }
        // oneDNN's gradient of such kernels has its threads wait for each other in a loop: products have not.
        if configuration.isPointwise, x.device == .cpu {
            let rows = try x.permuted([0, 2, 3, 1])
            if rows.isContiguous {
                return try rows.linear(weight.reshaped([configuration.outputs, -1]), bias: bias).permuted([0, 3, 1, 2])
            }
        }
        return try x.convolved(
            weight, bias: bias, stride: configuration.stride,
            padding: configuration.padding, dilation: configuration.dilation, groups: configuration.groups,
            transposed: configuration.transposed)
    }
}
