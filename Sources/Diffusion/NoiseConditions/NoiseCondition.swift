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
    /// What is computed of the shifted log SNR.
    public var form: any NoiseConditionForm
    /// Moves the log SNR first.
    public var shift = 1.0
    /// What the result is kept within: 0...1 of a cosine schedule's time, -1e9...1e9 of any other form.
    public var clampRange: ClosedRange<Double>

    /// A form without shift, within its limits.
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
