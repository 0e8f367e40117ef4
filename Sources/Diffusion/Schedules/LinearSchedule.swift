import Torch

/// log SNR falls in a straight line over t.
///
/// Source: the reference's `LinearSchedule` in `gdf/schedulers.py`.
public struct LinearSchedule: ScheduleCurve {
    /// log SNR at t = 1 and at t = 0.
    public var logSNRRange = -10.0...10.0

    /// The reference's values.
    public init() {}

    /// log SNR [B], from the range's upper end at t = 0 to its lower one at t = 1.
    public func logSNR(at time: Tensor) throws -> Tensor {
        try time * (logSNRRange.lowerBound - logSNRRange.upperBound) + logSNRRange.upperBound
    }
}
