import Glibc
import Torch

/// The number that tells the network how much noise there is.
public protocol NoiseConditionForm {
    /// [B] for log SNR [B].
    func callAsFunction(_ logSNR: Tensor) throws -> Tensor
}

/// What the network is told of a log SNR, whatever schedule made the noise: a form, after a shift and within limits.
///
/// Source: the reference's `gdf/noise_conditions.py`.
public struct NoiseCondition {
    public var form: any NoiseConditionForm
    /// Moves the log SNR first.
    public var shift = 1.0
    public var clampRange: ClosedRange<Double>

    public init(_ form: any NoiseConditionForm = CosineNoiseCondition()) {
        self.form = form
        clampRange = form is CosineNoiseCondition ? 0...1 : -1e9...1e9
    }

    /// [B] for log SNR [B].
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let moved = try shift == 1 ? logSNR : logSNR + 2 * Glibc.log(shift)
        return try form(moved).clamped(min: clampRange.lowerBound, max: clampRange.upperBound)
    }
}
