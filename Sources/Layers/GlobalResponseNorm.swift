import Torch

/// Global response normalisation (Woo et al. 2023, ConvNeXt V2) over channels-last activations.
public final class GlobalResponseNorm {
    /// Scale, [1, 1, 1, C].
    public let gamma: Tensor
    /// Shift, [1, 1, 1, C].
    public let beta: Tensor

    public init(_ channels: Int, _ scope: Scope) throws {
        gamma = try scope.parameter("gamma", [1, 1, 1, channels], .zeros)
        beta = try scope.parameter("beta", [1, 1, 1, channels], .zeros)
    }

    /// [B, H, W, C] to the same.
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        let gain = try x.to(dtype: .float32).norm([1, 2], keepingDimensions: true)  // [B, 1, 1, C]
        let relative = try gain / (gain.mean([-1], keepingDimensions: true) + 1e-6)
        return try x * (gamma.to(dtype: .float32) * relative + 1).to(dtype: x.dtype) + beta.to(dtype: x.dtype)
    }
}
