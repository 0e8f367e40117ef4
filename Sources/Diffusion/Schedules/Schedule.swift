import Failures
import Glibc
import Torch

/// log SNR over the time t, which runs from 0 (clean) to 1 (noise).
public protocol ScheduleCurve {
    /// log SNR [B] at times [B] within 0...1, float32.
    func logSNR(at time: Tensor) throws -> Tensor

    /// Times of some samples, [B].
    func drawTimes(_ draws: Draws) throws -> Tensor
}

extension ScheduleCurve {
    /// 1 - u for u uniform in 0..<1.
    public func drawTimes(_ draws: Draws) throws -> Tensor { try 1 - draws.uniform(.level) }
}

/// A distribution of log SNR to train with, that no time belongs to.
public protocol LogSNRDistribution {
    /// log SNR of some samples, [B].
    func draw(_ draws: Draws) throws -> Tensor
}

/// Where the samples of a batch stand between clean and noise.
public enum NoiseLevel {
    /// Times [B] within 0...1; whole numbers of int64 count the steps of a discrete schedule.
    case time(Tensor)
    /// log SNR [B] as a distribution drew it, before any shift.
    case logSNR(Tensor)

    /// The same on a device.
    public func to(device: Device) throws -> NoiseLevel {
        switch self {
        case .time(let time): .time(try time.to(device: device))
        case .logSNR(let logSNR): .logSNR(try logSNR.to(device: device))
        }
    }
}

/// How much noise there is when: a curve or a distribution, moved by a shift and held within limits.
///
/// Source: the reference's `gdf/schedulers.py`.
public struct Schedule {
    /// What says where samples stand: the time, or a distribution without times.
    public enum Course {
        /// log SNR by the time; for training and for sampling.
        case curve(any ScheduleCurve)
        /// log SNR as it is drawn; for training alone.
        case distribution(any LogSNRDistribution)
    }

    /// The curve or distribution, before shift and limits.
    public var course: Course
    /// Above 1 moves towards more noise, for larger images.
    public var shift = 1.0
    /// Rounds times to this many evenly spaced ones.
    public var discreteSteps: Int?
    /// Whether the curve's values at t = 1 and t = 0 bound the log SNR, whatever a call's shift makes of it.
    public var isLimited = true

    /// A course without shift, in any times, within the curve's own ends.
    public init(_ course: Course = .curve(CosineSchedule())) { self.course = course }

    /// Whether a time may be given, as sampling needs it.
    public var takesTimes: Bool {
        if case .curve = course { true } else { false }
    }

    /// log SNR [B].
    /// - Parameter callShift: multiplies the schedule's own shift.
    public func logSNR(_ level: NoiseLevel, callShift: Double = 1) throws -> Tensor {
        switch (level, course) {
        case (.logSNR(let drawn), _): return try shifted(drawn, by: shift * callShift)
        case (.time(let time), .curve(let curve)):
            let logSNR = try unlimited(time, curve, callShift)
            guard isLimited else { return logSNR }
            let limits = try limits(of: curve)
            return try logSNR.clamped(min: limits.low, max: limits.high)
        case (.time, .distribution):
            throw Failure.input("this schedule only draws", expected: "no times", got: "times")
        }
    }

    /// log SNR at t = 1 and at t = 0 with the schedule's own shift; nil where there are no times.
    public func limits() throws -> (low: Double, high: Double)? {
        guard case .curve(let curve) = course else { return nil }
        return try limits(of: curve)
    }

    /// Draws where samples stand, [B].
    public func draw(_ draws: Draws) throws -> NoiseLevel {
        switch course {
        case .curve(let curve): .time(try curve.drawTimes(draws))
        case .distribution(let distribution): .logSNR(try distribution.draw(draws))
        }
    }

    /// What learns from the losses of the run.
    public var learner: (any LossLearner)? {
        if case .distribution(let distribution) = course { distribution as? any LossLearner } else { nil }
    }

    private func limits(of curve: any ScheduleCurve) throws -> (low: Double, high: Double) {
        let ends = try unlimited(Tensor([1, 0] as [Float]), curve, 1).values(as: Double.self)
        return (ends[0], ends[1])
    }

    private func unlimited(_ time: Tensor, _ curve: any ScheduleCurve, _ callShift: Double) throws -> Tensor {
        var time = time
        if let discreteSteps {
            let last = Double(discreteSteps - 1)
            time = try (time.dtype.isFloatingPoint ? (time * last).rounded() : time) / last
        }
        let within = try time.to(dtype: .float32).clamped(min: 0, max: 1)
        return try shifted(curve.logSNR(at: within), by: shift * callShift)
    }

    private func shifted(_ logSNR: Tensor, by shift: Double) throws -> Tensor {
        try shift == 1 ? logSNR : logSNR + 2 * Glibc.log(1 / shift)
    }
}
