import Glibc
import Torch

/// Nichol and Dhariwal's cosine schedule of signal variance over t in 0...1, as log SNR.
///
/// Source: the reference's `gdf/schedulers.py`; offset 0.008, limits on the variance.
public struct CosineSchedule: Sendable {
    public var offset = 0.008
    /// Limits of the signal's variance.
    public var clampRange = 0.0001...0.9999
    /// Noise moves towards more of it for larger pictures.
    public var shift = 1.0

    public init() {}

    private var variance0: Double { pow(cos(offset / (1 + offset) * .pi * 0.5), 2) }

    /// log SNR at times [B].
    /// - Parameter callShift: multiplies the schedule's own shift.
    public func logSNR(_ time: Tensor, callShift: Double = 1) throws -> Tensor {
        // The order of the operations is the reference's: near t = 0 float32 keeps three digits of 1 - variance.
        let angle = try (time.to(dtype: .float32) + offset) / (1 + offset) * Double.pi * 0.5
        let variance = try (angle.cos().clamped(min: 0, max: 1).squared() / variance0)
            .clamped(min: clampRange.lowerBound, max: clampRange.upperBound)
        var logSNR = try (variance / (1 - variance)).log()
        let shift = shift * callShift
        if shift != 1 { logSNR = try logSNR + 2 * Glibc.log(1 / shift) }
        let limits = limits
        return try logSNR.clamped(min: limits.lowerBound, max: limits.upperBound)
    }

    /// log SNR at t = 1 and at t = 0, with the schedule's own shift.
    public var limits: ClosedRange<Double> {
        func at(_ time: Double) -> Double {
            let variance = pow(min(1, max(0, cos((time + offset) / (1 + offset) * .pi * 0.5))), 2) / variance0
            let limited = min(clampRange.upperBound, max(clampRange.lowerBound, variance))
            return Glibc.log(limited / (1 - limited)) + 2 * Glibc.log(1 / shift)
        }
        return at(1)...at(0)
    }

    /// Draws times for a batch: 1 - u + 0.001 for u uniform, kept within 0.001...1.
    public func draw(_ count: Int, from generator: Generator) throws -> Tensor {
        try (1.001 - generator.uniform([count])).clamped(min: 0.001, max: 1)
    }
}
