import Torch

/// The time at which a table of variances has this log SNR.
public struct PiecewiseLinearNoiseCondition: NoiseConditionForm {
    /// The signal's variance over t, which is read backwards.
    public var table: VarianceTable
    /// Whether what the table does not reach counts as its nearest end.
    public var staysWithinTable = false

    /// Takes a table as it is; what it does not reach is continued in a straight line.
    public init(_ table: VarianceTable) { self.table = table }

    /// [B]: the time that ``VarianceTable/time(of:)`` finds for the signal's variance.
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let time = try table.time(of: logSNR.sigmoid())
        return try staysWithinTable ? time.clamped(min: 0, max: 1) : time
    }
}

/// Another condition in whole steps, towards zero.
public struct DiscreteNoiseCondition: NoiseConditionForm {
    /// The condition that is divided into steps, with its shift and limits.
    public var continuous: NoiseCondition
    /// How many steps the range has.
    public var steps = 1000
    /// What of the other condition is step 0, and what is step `steps`.
    public var continuousRange = 0.0...1.0

    /// A thousand steps over 0...1.
    public init(_ continuous: NoiseCondition) { self.continuous = continuous }

    /// Whole numbers, in float32 as the network takes them.
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let (low, high) = (continuousRange.lowerBound, continuousRange.upperBound)
        return try ((continuous(logSNR) - low) / (high - low) * Double(steps)).truncated()
    }
}
