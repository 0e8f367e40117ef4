import Torch

/// A convolution over [B, C, H, W].
public final class Convolution {
    /// The sizes of a convolution, in pixels, and how it starts.
    public struct Configuration {
        /// Channels that come in.
        public var inputs: Int
        /// Channels that come out.
        public var outputs: Int
        /// The side of the square kernel.
        public var kernel: Int
        /// Pixels of the input from one output to the next; transposed, pixels of the output from one input to the
        /// next.
        public var stride = 1
        /// Zeros around the input on each side; transposed, pixels that the output loses on each side.
        public var padding = 0
        /// Pixels from one element of the kernel to the next; 1 leaves no gaps.
        public var dilation = 1
        /// Parts of the channels that are convolved each by itself; as many as channels is a depthwise convolution.
        public var groups = 1
        /// Whether each output channel has a number added.
        public var bias = true
        /// Whether it is the transpose of a convolution, which makes the image larger by `stride`.
        public var transposed = false
        /// How the weight starts where no file gives it; a bias starts at zero.
        public var initial = Initializer.torchUniform

        /// A convolution with a bias, step 1 and no padding; the rest may be set afterwards.
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

    /// Takes `weight` and `bias` from a scope. It is no place for adapters.
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
        // oneDNN's gradient of such kernels has its threads wait for each other in a loop: products have not.
        if configuration.isPointwise, x.device == .cpu {
            let rows = try x.permuted([0, 2, 3, 1])
            if rows.isContiguous {
                return try rows.linear(weight.reshaped([configuration.outputs, -1]), bias: bias).permuted([0, 3, 1, 2])
            }
        }
        let (weight, bias) = (try weight.to(dtype: x.dtype), try bias?.to(dtype: x.dtype))
        if configuration.isDepthwise { return try x.depthwise(weight, bias: bias, stride: configuration.stride) }
        return try x.convolved(
            weight, bias: bias, stride: configuration.stride,
            padding: configuration.padding, dilation: configuration.dilation, groups: configuration.groups,
            transposed: configuration.transposed)
    }
}
