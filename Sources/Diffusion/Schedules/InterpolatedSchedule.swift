import Torch

/// Between two schedules' log SNR: the second's at t = 0, the first's at t = 1, first * t + second * (1 - t).
///
/// Source: the reference's `InterpolatedSchedule` in `gdf/schedulers.py`.
public struct InterpolatedSchedule: ScheduleCurve {
    /// Counts t; all of it at t = 1.
    public var first: Schedule
    /// Counts 1 - t; all of it at t = 0.
    public var second: Schedule
    /// Of the call to each, beside its own.
    public var shifts = (first: 1.0, second: 1.0)

    /// - Precondition: both schedules take times.
    public init(_ first: Schedule, _ second: Schedule) {
        self.first = first
        self.second = second
    }

    /// log SNR [B] mixed of both, each with its own shift and limits; t is kept 1e-7 away from 0 and 1.
    public func logSNR(at time: Tensor) throws -> Tensor {
        // A schedule without limits is infinite at an end, and 0 times infinity is not a number.
        let time = try time.clamped(min: 1e-7, max: 1 - 1e-7)
        let one = try first.logSNR(.time(time), callShift: shifts.first)
        let other = try second.logSNR(.time(time), callShift: shifts.second)
        return try one * time + other * (1 - time)
    }
}
