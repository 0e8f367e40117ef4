import Torch

/// The signal's variance by a table: piecewise linear, or Stable Diffusion's.
///
/// Source: the reference's `PiecewiseLinearSchedule` and `StableDiffusionSchedule` in `gdf/schedulers.py`.
public struct PiecewiseLinearSchedule: ScheduleCurve {
    public var table: VarianceTable

    public init(_ table: VarianceTable) { self.table = table }

    public func logSNR(at time: Tensor) throws -> Tensor {
        let variance = try table.variance(at: time)
        return try (variance / (1 - variance)).log()
    }
}
