import Torch

/// A convolution of each channel with a kernel of its own over [B, C, H, W], whose sides stay.
public final class DepthwiseConvolution {
    private let convolution: Convolution
    /// Of the kernels as a matrix, one row for each channel.
    public let projection: Projection

    /// - Parameter kernel: the side of the kernels, odd.
    public init(width: Int, kernel: Int, initial: Initializer, _ scope: Scope) throws {
        var configuration = Convolution.Configuration(width, width, kernel: kernel)
        configuration.padding = kernel / 2
        configuration.groups = width
        configuration.initial = initial
        convolution = try Convolution(configuration, scope)
        projection = Projection(
            weight: .plain(try convolution.weight.reshaped([width, kernel * kernel])), bias: convolution.bias,
            kernelSide: kernel)
        scope.register(projection)
    }

    /// [B, C, H, W] to the same shape.
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try projection.adapted(convolution(x), of: x) }
}

extension Tensor {
    /// [B, C, H, W] with each channel convolved with its row of `kernels`, [C, side * side], in this tensor's dtype.
    public func convolved(withRowsOf kernels: Tensor, side: Int) throws -> Tensor {
        try depthwise(kernels.reshaped([kernels.size(0), 1, side, side]).to(dtype: dtype))
    }
}
