import Glibc
import Torch

/// The cosine schedule in closed form between two log SNR (Salimans and Ho 2022, Hoogeboom et al. 2023).
///
/// Source: the reference's `CosineSchedule2` in `gdf/schedulers.py`.
public struct CosineSchedule2: ScheduleCurve {
    /// log SNR at t = 1 and at t = 0.
    public var logSNRRange = -15.0...15.0

    /// The reference's values.
    public init() {}

    /// log SNR [B]: -2 ln tan of an angle that rises in a straight line with t.
    public func logSNR(at time: Tensor) throws -> Tensor {
        let first = atan(exp(-0.5 * logSNRRange.upperBound))
        let last = atan(exp(-0.5 * logSNRRange.lowerBound))
        return try -2 * (time * (last - first) + first).tan().log()
    }
}
