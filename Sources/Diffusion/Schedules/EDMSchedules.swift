import Glibc
import Torch

/// Karras et al.'s noise levels to sample with (2022, equation 5), over t from 0 to 1.
///
/// Source: the reference's `EDMSampleSchedule` in `gdf/schedulers.py`.
public struct EDMSampleSchedule: ScheduleCurve {
    /// Noise over signal at t = 0 and at t = 1.
    public var sigmaRange = 0.002...80.0
    /// Spends the more steps on little noise the larger it is: rho of the paper.
    public var exponent = 7.0

    /// The paper's values.
    public init() {}

    /// log SNR [B]: -2 ln sigma.
    public func logSNR(at time: Tensor) throws -> Tensor {
        let least = pow(sigmaRange.lowerBound, 1 / exponent)
        let most = pow(sigmaRange.upperBound, 1 / exponent)
        let sigma = try ((1 - time) * (least - most) + most).pow(exponent)
        return try sigma.pow(2).reciprocal().log()
    }
}

/// Karras et al.'s noise levels to train with (2022, table 1): the logarithm of noise over signal is normal.
///
/// Source: `EDMTrainSchedule` in the reference's `gdf/schedulers.py`, whose sign of the mean is wrong.
public struct EDMTrainSchedule: LogSNRDistribution {
    /// Of ln sigma.
    public var mean = -1.2
    /// Standard deviation of ln sigma.
    public var deviation = 1.2
    /// Takes the mean with the other sign, as the reference does.
    public var hasReferenceSign = false

    /// The paper's values, with its sign of the mean.
    public init() {}

    /// log SNR [B]: -2 ln sigma, with ln sigma normal.
    public func draw(_ draws: Draws) throws -> Tensor {
        try -2 * (draws.normal(.level) * deviation + (hasReferenceSign ? -mean : mean))
    }
}
