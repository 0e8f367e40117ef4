import Torch

/// The noise's variance is the root of t (Li et al. 2022, Diffusion-LM).
///
/// Source: the reference's `SqrtSchedule` in `gdf/schedulers.py`.
public struct SqrtSchedule: ScheduleCurve {
    /// Noise there is at t = 0 already.
    public var offset = 1e-4
    /// How the signal's variance is kept away from 0 and 1.
    public var bounds = VarianceBounds()

    /// The reference's values.
    public init() {}

    /// log SNR [B], from the signal's variance 1 - √(t + offset).
    public func logSNR(at time: Tensor) throws -> Tensor {
        try bounds.logSNR(1 - (time + offset).pow(0.5))
    }
}
