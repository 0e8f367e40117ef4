import Layers
import Torch

/// A convolution without bias, a batch norm and mostly SiLU: torchvision's `Conv2dNormActivation` in EfficientNet.
final class ConvolutionNorm {
    /// Keys `0.weight`.
    let convolution: Convolution
    /// Keys `1.weight`, `1.bias`, `1.running_mean`, `1.running_var`.
    let norm: BatchNorm
    private let activates: Bool

    /// - Parameter activates: whether SiLU follows.
    init(_ configuration: Convolution.Configuration, activates: Bool, _ scope: Scope) throws {
        var configuration = configuration
        configuration.bias = false
        configuration.initial = .kaimingNormalFanOut
        convolution = try Convolution(configuration, scope(0))
        norm = try BatchNorm(configuration.outputs, epsilon: 1e-3, scope(1))
        self.activates = activates
    }

    /// [B, in, H, W] to [B, out, H', W'].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try norm.isFixed ? convolution(x, norm) : norm(convolution(x))
        return activates ? try y.silu() : y
    }
}
