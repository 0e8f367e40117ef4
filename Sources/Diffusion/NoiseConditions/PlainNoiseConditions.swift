import Torch

/// The logarithm of noise over signal, a quarter of it: c_noise of Karras et al. (2022).
public struct EDMNoiseCondition: NoiseConditionForm {
    public init() {}

    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try logSNR * -1 / 8 }
}

/// The variance of the noise where signal and noise keep theirs.
public struct SigmoidNoiseCondition: NoiseConditionForm {
    public init() {}

    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try (logSNR * -1).sigmoid() }
}

/// log SNR itself.
public struct LogSNRNoiseCondition: NoiseConditionForm {
    public init() {}

    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { logSNR }
}

/// Noise over signal, times the data's deviation.
public struct EDMSigmaNoiseCondition: NoiseConditionForm {
    public var dataDeviation = 1.0

    public init() {}

    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try (logSNR * -1 / 2).exp() * dataDeviation }
}

/// The share of the signal on a rectified flow: 1 - t, not t, as in the reference.
public struct RectifiedFlowNoiseCondition: NoiseConditionForm {
    public init() {}

    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor { try interpolationSignal(logSNR) }
}
