import Torch

/// The logarithm of noise over signal, a quarter of it: c_noise of Karras et al. (2022).
public struct EDMNoiseCondition: NoiseConditionForm {
    /// There is nothing to set.
    public init() {}

    /// [B]: ln(noise / signal) / 4, any number.
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try logSNR * -1 / 8 }
}

/// The variance of the noise where signal and noise keep theirs.
public struct SigmoidNoiseCondition: NoiseConditionForm {
    /// There is nothing to set.
    public init() {}

    /// [B]: between 0 (clean) and 1 (noise).
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try (logSNR * -1).sigmoid() }
}

/// log SNR itself.
public struct LogSNRNoiseCondition: NoiseConditionForm {
    /// There is nothing to set.
    public init() {}

    /// [B]: the log SNR as it is, falling with the noise.
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { logSNR }
}

/// Noise over signal, times the data's deviation.
public struct EDMSigmaNoiseCondition: NoiseConditionForm {
    /// Standard deviation of the clean latents; 1 as the stages are trained.
    public var dataDeviation = 1.0

    /// Latents of deviation 1.
    public init() {}

    /// [B]: above 0, growing with the noise.
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try (logSNR * -1 / 2).exp() * dataDeviation }
}

/// The share of the signal on a rectified flow: 1 - t, not t, as in the reference.
public struct RectifiedFlowNoiseCondition: NoiseConditionForm {
    /// There is nothing to set.
    public init() {}

    /// [B]: between 0 (noise) and 1 (clean).
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try interpolationSignal(logSNR) }
}
