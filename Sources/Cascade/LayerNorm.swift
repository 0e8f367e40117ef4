import Layers
import Torch

/// Layer norm over the last dimension, with scale and shift.
final class LayerNorm {
    /// Scale, [C].
    private let weight: Tensor
    /// Shift, [C].
    private let bias: Tensor
    private let epsilon: Double

    init(_ width: Int, epsilon: Double, _ scope: Scope) throws {
        weight = try scope.parameter("weight", [width], .ones)
        bias = try scope.parameter("bias", [width], .zeros)
        self.epsilon = epsilon
    }

    /// [..., C] to the same.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.layerNorm(size: weight.count, weight: weight, bias: bias, epsilon: epsilon)
    }
}
