import Glibc
import Torch

/// The time that the network is told of a log SNR: where a cosine schedule would have it, whatever schedule made the
/// noise.
///
/// Source: the reference's `gdf/noise_conditions.py`.
public struct CosineNoiseCondition: Sendable {
    public var offset = 0.008
    /// Moves the log SNR first.
    public var shift = 1.0
    /// Limits of the signal's variance, and of the time.
    public var clampRange = 0.0...1.0

    public init() {}

    /// Times [B] for log SNR [B].
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let moved = try shift == 1 ? logSNR : logSNR + 2 * Glibc.log(shift)
        let variance = try moved.sigmoid().clamped(min: clampRange.lowerBound, max: clampRange.upperBound)
        let start = pow(cos(offset / (1 + offset) * .pi * 0.5), 2)
        let angle = try (variance * start).sqrt().acos()
        return try (angle / (Double.pi * 0.5) * (1 + offset) - offset)
            .clamped(min: clampRange.lowerBound, max: clampRange.upperBound)
    }
}
