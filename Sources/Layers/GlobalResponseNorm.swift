import Torch

/// Global response normalisation (Woo et al. 2023, ConvNeXt V2) over channels-last activations.
public final class GlobalResponseNorm {
    /// Scale, [1, 1, 1, C].
    public let gamma: Tensor
    /// Shift, [1, 1, 1, C].
    public let beta: Tensor

    /// Takes `gamma` and `beta`, which start at zero, from a scope; then the norm changes nothing.
    public init(_ channels: Int, _ scope: Scope) throws {
        gamma = try scope.parameter("gamma", [1, 1, 1, channels], .zeros)
        beta = try scope.parameter("beta", [1, 1, 1, channels], .zeros)
    }

    /// Normalises `gelu(x)`, the only thing it ever stands behind; [B, H, W, C] to the same.
    public func afterGELU(_ x: Tensor) throws -> Tensor { try x.geluResponseNorm(gamma: gamma, beta: beta) }
}
