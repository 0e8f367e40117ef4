import Torch

/// Draws each bucket of log SNR as often as its running loss is large.
///
/// Source: the reference's `AdaptiveTrainSchedule` in `gdf/schedulers.py`; log SNR outside the range, which belongs to
/// no bucket, teaches nothing here.
public final class AdaptiveTrainSchedule: LogSNRDistribution, LossLearner {
    /// The mean loss of each bucket of log SNR, by which buckets are drawn; 1 at first.
    public var running: RunningLosses
    private let edges: [Float]
    private let leastWeight: Double

    /// - Parameter leastWeight: added to every bucket's loss.
    public init(logSNRRange: ClosedRange<Double> = -10...10, buckets: Int = 100, leastWeight: Double = 0) throws {
        running = RunningLosses(buckets: buckets)
        edges = try Tensor.spaced(from: logSNRRange.lowerBound, to: logSNRRange.upperBound, count: buckets + 1).values()
        self.leastWeight = leastWeight
    }

    /// log SNR [B]: a bucket by its share of all losses, then a place in it, uniform.
    public func draw(_ draws: Draws) throws -> Tensor {
        var total = 0.0
        let sums = running.means.map { mean in
            total += Double(mean) + leastWeight
            return total
        }
        let choices = try draws.uniform(.level).values(as: Double.self)
        let places = try draws.uniform(.level, position: 1).values(as: Float.self)
        return try Tensor(
            zip(choices, places).map { choice, place in
                let bucket = sums.firstIndex { $0 > choice * total } ?? sums.count - 1
                return place * (edges[bucket + 1] - edges[bucket]) + edges[bucket]
            })
    }

    /// The bucket of each log SNR [B], an edge belonging to the one above it; nil outside the range.
    public func buckets(of logSNR: Tensor) throws -> [Int?] {
        try logSNR.bucketed(edges: Tensor(edges), right: true).values(as: Int.self).map { above in
            (1..<edges.count).contains(above) ? above - 1 : nil
        }
    }
}
