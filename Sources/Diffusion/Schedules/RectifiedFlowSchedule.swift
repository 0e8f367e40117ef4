import Torch

/// Straight lines from data to noise: signal 1 - t, noise t (Liu et al. 2022).
///
/// Source: the reference's `RectifiedFlowsSchedule` in `gdf/schedulers.py`.
public struct RectifiedFlowSchedule: ScheduleCurve {
    /// Limits of the log SNR, which would be infinite at t = 0 and t = 1.
    public var logSNRRange = -15.0...15.0

    /// The reference's values.
    public init() {}

    /// log SNR [B]: ln((1 - t)² / t²), within the limits.
    public func logSNR(at time: Tensor) throws -> Tensor {
        try ((1 - time).squared() / time.squared()).log()
            .clamped(min: logSNRRange.lowerBound, max: logSNRRange.upperBound)
    }
}
