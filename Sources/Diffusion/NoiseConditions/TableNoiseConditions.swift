import Torch

/// The time at which a table of variances has this log SNR.
public struct PiecewiseLinearNoiseCondition: NoiseConditionForm {
    public var table: VarianceTable
    /// Whether what the table does not reach counts as its nearest end.
    public var staysWithinTable = false

    public init(_ table: VarianceTable) { self.table = table }

    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let time = try table.time(of: logSNR.sigmoid())
        return try staysWithinTable ? time.clamped(min: 0, max: 1) : time
    }
}

/// Another condition in whole steps, towards zero.
public struct DiscreteNoiseCondition: NoiseConditionForm {
    public var continuous: NoiseCondition
    public var steps = 1000
    /// What of the other condition is step 0, and what is step `steps`.
    public var continuousRange = 0.0...1.0

    public init(_ continuous: NoiseCondition) { self.continuous = continuous }

    /// Whole numbers, in float32 as the network takes them.
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let (low, high) = (continuousRange.lowerBound, continuousRange.upperBound)
        return try ((continuous(logSNR) - low) / (high - low) * Double(steps)).truncated()
    }
}
