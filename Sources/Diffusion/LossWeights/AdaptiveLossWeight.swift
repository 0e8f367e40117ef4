import Torch

/// Weights by the inverse of a running mean of the loss in each bucket of log SNR, the outer buckets open.
///
/// Source: the reference's `AdaptiveLossWeight` in `gdf/loss_weights.py`.
public final class AdaptiveLossWeight: LossLearner {
    /// The mean loss of each bucket of log SNR, which divides its samples' losses; 1 at first.
    public var running: RunningLosses
    private let edges: Tensor
    private let weightRange: ClosedRange<Double>

    /// - Parameter buckets: at least 2.
    public init(
        logSNRRange: ClosedRange<Double> = -10...10, buckets: Int = 300, weightRange: ClosedRange<Double> = 1e-7...1e7
    ) throws {
        running = RunningLosses(buckets: buckets)
        edges = try .spaced(from: logSNRRange.lowerBound, to: logSNRRange.upperBound, count: buckets - 1)
        self.weightRange = weightRange
    }

    func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let bucket = try logSNR.to(device: .cpu).bucketed(edges: edges)  // [B]
        return try Tensor(running.means).gathered(0, bucket).reciprocal()
            .clamped(min: weightRange.lowerBound, max: weightRange.upperBound).to(device: logSNR.device)
    }

    /// The bucket of each log SNR [B], an edge belonging to the one below it; the outermost take what lies outside.
    public func buckets(of logSNR: Tensor) throws -> [Int?] { try logSNR.bucketed(edges: edges).values(as: Int.self) }
}
