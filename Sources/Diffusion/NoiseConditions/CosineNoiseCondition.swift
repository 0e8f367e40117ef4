import Torch

/// The time at which a cosine schedule has this log SNR.
///
/// Source: the reference's `CosineTNoiseCond` in `gdf/noise_conditions.py`.
public struct CosineNoiseCondition: NoiseConditionForm {
    /// The schedule's own ``CosineSchedule/offset``.
    public var offset = 0.008
    /// Limits of the signal's variance.
    public var varianceRange = 0.0...1.0

    /// The reference's values, those of a cosine schedule.
    public init() {}

    /// [B]: the time, from 0 (clean) to 1 (noise).
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let wave = try CosineWave(offset: offset, device: logSNR.device)
        let variance = try logSNR.sigmoid().clamped(min: varianceRange.lowerBound, max: varianceRange.upperBound)
        return try (variance * wave.start).pow(0.5).acos() / (Double.pi * 0.5) * (1 + wave.offset) - wave.offset
    }
}
