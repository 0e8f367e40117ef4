import Failures
import Torch

/// What takes in the losses of a run by log SNR: running means that a checkpoint keeps.
public protocol LossLearner: AnyObject {
    /// The mean loss of each bucket, which ``update(logSNR:losses:)`` moves.
    var running: RunningLosses { get set }
    /// The bucket of each log SNR [B]; nil where it belongs to none.
    func buckets(of logSNR: Tensor) throws -> [Int?]
}

extension LossLearner {
    /// Takes in the losses [B] of a batch at log SNR [B].
    public func update(logSNR: Tensor, losses: Tensor) throws {
        try running.update(buckets(of: logSNR.to(device: .cpu)), losses.values(as: Float.self))
    }
}

/// A running mean of the loss in each bucket of log SNR, starting at 1.
public struct RunningLosses: Sendable {
    /// How much of the old mean stays: the reference's `beta`.
    static let momentum = 0.99
    /// The running mean of each bucket, the least log SNR first.
    public private(set) var means: [Float]

    init(buckets: Int) { means = [Float](repeating: 1, count: buckets) }

    /// Several losses in one bucket are taken in together, by their mean.
    mutating func update(_ buckets: [Int?], _ losses: [Float]) {
        var sums: [Int: (total: Double, count: Double)] = [:]
        for case (let bucket?, let loss) in zip(buckets, losses) {
            let before = sums[bucket] ?? (0, 0)
            sums[bucket] = (before.total + Double(loss), before.count + 1)
        }
        for (bucket, sum) in sums {
            means[bucket] = Float(
                Self.momentum * Double(means[bucket]) + (1 - Self.momentum) * sum.total / sum.count)
        }
    }

    /// Takes up saved means.
    public mutating func restore(_ saved: [Float]) throws {
        guard saved.count == means.count else {
            throw Failure.input(
                "the saved losses are of other buckets", expected: "\(means.count)", got: "\(saved.count)",
                advice: "choose another experiment_id, or put back the configuration that the run began with")
        }
        means = saved
    }
}
