import Torch

/// The signal's variance by a table: piecewise linear, or Stable Diffusion's.
///
/// Source: the reference's `PiecewiseLinearSchedule` and `StableDiffusionSchedule` in `gdf/schedulers.py`.
public struct PiecewiseLinearSchedule: ScheduleCurve {
    /// The signal's variance over t.
    public var table: VarianceTable

    /// Takes a table as it is; its ends may be 0 and 1, where the log SNR is infinite.
    public init(_ table: VarianceTable) { self.table = table }

    /// log SNR [B], from the variance between the two points of the table next to t.
    public func logSNR(at time: Tensor) throws -> Tensor {
        let variance = try table.variance(at: time)
        return try (variance / (1 - variance)).log()
    }
}
