import Failures
import Torch

/// Batch norm with its running statistics: trained networks are used, and trained further, that way. One that is trained
/// from nothing takes the statistics of each batch (Ioffe and Szegedy 2015): see ``isTraining``.
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
    /// While true, a call normalises by the statistics of its input, through which gradients pass, and the running ones
    /// follow them: by a tenth of the way, the variance unbiased, as torch's own default has it.
    public var isTraining = false

    private static let momentum = 0.1

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
        if isTraining { return try normalisedByItself(x) }
        // libtorch takes statistics in float32 only where scale and shift are float32 too.
        return try x.batchNorm(
            mean: mean, variance: variance, weight: weight?.to(dtype: .float32), bias: bias?.to(dtype: .float32),
            epsilon: epsilon)
    }

    /// Whether a call neither takes statistics nor moves them: then it is one multiplication and one addition a channel.
    public var isFixed: Bool { !isMeasuring && !isTraining }

    /// What a fixed norm multiplies each channel by and adds to it, [C] each, float32. Gradients reach scale and shift.
    public func factors() throws -> (scale: Tensor, shift: Tensor) {
        var scale = try (variance + epsilon).reciprocalSqrt()
        if let weight { scale = try scale * weight.to(dtype: .float32) }
        let shift = try mean * scale * -1
        return (scale, try bias.map { try $0.to(dtype: .float32) + shift } ?? shift)
    }

    private func normalisedByItself(_ x: Tensor) throws -> Tensor {
        guard x.count > mean.count else {
            throw Failure.run(
                "a batch norm that trains has nothing to measure", expected: "more than one value for each channel",
                got: "\(x.shape)")
        }
        // Without scale and shift libtorch takes statistics in the input's dtype.
        let wide = try weight == nil ? x.to(dtype: .float32) : x
        let y = try wide.batchNorm(
            following: Self.momentum, mean: mean, variance: variance, weight: weight?.to(dtype: .float32),
            bias: bias?.to(dtype: .float32), epsilon: epsilon)
        return try y.to(dtype: x.dtype)
    }

    private func measure(_ x: Tensor) throws {
        let plain = try x.detached().to(dtype: .float32)
        try mean.assign(plain.mean([0, 2, 3]))
        try variance.assign(plain.variance([0, 2, 3], correction: 0).clamped(min: 1e-8))
    }
}
