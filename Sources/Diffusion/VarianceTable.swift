import Failures
import Torch

/// The signal's variance by straight lines between points of t: what piecewise linear schedules and noise conditions
/// share.
///
/// Source: `PiecewiseLinearSchedule` and `PiecewiseLinearNoiseCond` of the reference's `gdf`.
public struct VarianceTable {
    /// Times, ascending, [n].
    private let times: Tensor
    /// The signal's variance at each, descending, [n].
    private let variances: Tensor

    /// - Throws: where the times don't rise from 0 to 1, or the variances don't fall within 1 and 0.
    public init(times: [Double], variances: [Double]) throws {
        try self.init(Tensor(times.map(Float.init)), Tensor(variances.map(Float.init)))
    }

    /// Stable Diffusion's: the root of beta rises in a straight line (Rombach et al. 2022).
    /// - Parameter betas: of the first and of the last step.
    public static func stableDiffusion(betas: ClosedRange<Double>, steps: Int) throws -> VarianceTable {
        let (first, last) = (betas.lowerBound.squareRoot(), betas.upperBound.squareRoot())
        let times = try Tensor.spaced(from: 0, to: 1, count: steps + 1)
        let kept = try 1 - (first * (1 - times) + last * times).squared()
        return try VarianceTable(times, kept.cumulativeProduct(-1))
    }

    private init(_ times: Tensor, _ variances: Tensor) throws {
        let (x, y) = try (times.values(as: Float.self), variances.values(as: Float.self))
        func refuse(_ what: String, expected: String) -> Failure { .input(what, expected: expected) }
        guard x.count >= 2, x.first == 0, x.last == 1, zip(x, x.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw refuse("the times of a piecewise linear schedule", expected: "two or more, rising from 0 to 1")
        }
        guard y.count == x.count, zip(y, y.dropFirst()).allSatisfy({ $0 > $1 }), y.allSatisfy({ (0...1).contains($0) })
        else {
            throw refuse(
                "the variances of a piecewise linear schedule",
                expected: "\(x.count), falling within 1 and 0 in float32")
        }
        self.times = times
        self.variances = variances
    }

    /// Variances [B] at times [B].
    public func variance(at time: Tensor) throws -> Tensor {
        let (x, y) = try (times.to(device: time.device), variances.to(device: time.device))
        let last = x.count - 1
        func before(_ table: Tensor) throws -> Tensor {
            try .concatenated([table.sliced(0, last..<last + 1), table.sliced(0, 0..<last)], dimension: 0)
        }
        // The point above each time; t = 0 itself is reached from the far end, as in the reference.
        let above = try time.bucketed(edges: x.sliced(0, 0..<last))
        return try Self.line(
            time, from: (before(x).gathered(0, above), before(y).gathered(0, above)),
            to: (x.gathered(0, above), y.gathered(0, above)))
    }

    /// Times [B] of variances [B].
    ///
    /// As in the reference a variance is looked up on the line through the two points above it, so that all but those
    /// of the first two and of the last stretch go a little past what `variance(at:)` had: what networks were trained
    /// with.
    public func time(of variance: Tensor) throws -> Tensor {
        let x = try times.to(device: variance.device).flipped([0])
        let y = try variances.to(device: variance.device).flipped([0])
        let count = x.count
        let place = try variance.bucketed(edges: y.sliced(0, 0..<max(1, count - 2)))
        let index = try place.clamped(max: Double(count - 2)).to(dtype: .int64)
        func next(_ table: Tensor) throws -> Tensor { try table.sliced(0, 1..<count).gathered(0, index) }
        return try Self.line(
            variance, from: (next(y), next(x)), to: (y.gathered(0, index), x.gathered(0, index)))
    }

    /// The line through two points, in the reference's order of operations.
    private static func line(
        _ at: Tensor, from: (x: Tensor, y: Tensor), to: (x: Tensor, y: Tensor)
    ) throws -> Tensor {
        try from.y + (to.y - from.y) * (at - from.x) / (to.x - from.x)
    }
}
