import Torch

/// Batch norm with its running statistics, never those of the batch: trained networks are used and trained that way.
public final class BatchNorm {
    /// Scale, [C].
    public let weight: Tensor?
    /// Shift, [C].
    public let bias: Tensor?
    /// Running mean, [C], float32.
    public let mean: Tensor
    /// Running variance, [C], float32.
    public let variance: Tensor
    private let epsilon: Double
    /// While true, a call first takes the statistics of its input as the running ones.
    public var isMeasuring = false

    /// - Parameter affine: whether there are a scale and a shift.
    public init(_ channels: Int, affine: Bool = true, epsilon: Double, _ scope: Scope) throws {
        weight = affine ? try scope.parameter("weight", [channels], .ones) : nil
        bias = affine ? try scope.parameter("bias", [channels], .zeros) : nil
        mean = try scope.buffer("running_mean", [channels], .zeros)
        variance = try scope.buffer("running_var", [channels], .ones)
        self.epsilon = epsilon
    }

    /// [B, C, H, W] to the same.
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        if isMeasuring { try measure(x) }
        // libtorch takes statistics in float32 only where scale and shift are float32 too.
        return try x.batchNorm(
            mean: mean, variance: variance, weight: weight?.to(dtype: .float32), bias: bias?.to(dtype: .float32),
            epsilon: epsilon)
    }

    private func measure(_ x: Tensor) throws {
        let plain = try x.detached().to(dtype: .float32)
        try mean.assign(plain.mean([0, 2, 3]))
        try variance.assign(plain.variance([0, 2, 3], correction: 0).clamped(min: 1e-8))
    }
}
