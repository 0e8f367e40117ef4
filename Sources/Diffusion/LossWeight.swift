import Torch

/// How much a sample counts by its log SNR.
///
/// Source: the reference's `gdf/loss_weights.py`.
public enum LossWeight {
    /// Every sample counts alike.
    case constant
    /// (k + SNR^s)^-gamma (Choi et al. 2022).
    case p2(k: Double = 1, gamma: Double = 1, s: Double = 1)
    /// By the loss that samples of the like noise had, see `AdaptiveLossWeight`.
    case adaptive(AdaptiveLossWeight)

    /// Weights [B] for log SNR [B].
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        switch self {
        case .constant: try .full(logSNR.shape, 1, device: logSNR.device)
        case .p2(let k, let gamma, let s): try ((logSNR * s).exp() + k).pow(-gamma)
        case .adaptive(let weight): try weight(logSNR)
        }
    }
}

/// Weights by the inverse of a running mean of the loss in each of 300 buckets of log SNR.
public final class AdaptiveLossWeight {
    public static let buckets = 300
    /// Running losses, [300], float32.
    public private(set) var losses: Tensor
    private let edges: Tensor
    private static let range = -10.0...10.0
    private static let momentum = 0.99
    private static let weightRange = 1e-7...1e7

    public init() throws {
        losses = try .full([Self.buckets], 1)
        let step = (Self.range.upperBound - Self.range.lowerBound) / Double(Self.buckets - 2)
        edges = try Tensor((0..<Self.buckets - 1).map { Float(Self.range.lowerBound + step * Double($0)) })
    }

    func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        let bucket = try logSNR.to(device: .cpu).bucketed(edges: edges)  // [B]
        let weight = try losses.gathered(0, bucket).reciprocal()
        return try weight.clamped(min: Self.weightRange.lowerBound, max: Self.weightRange.upperBound)
            .to(device: logSNR.device)
    }

    /// Takes in the losses [B] of a batch at log SNR [B]; several in one bucket are taken in together, by their mean.
    public func update(logSNR: Tensor, losses new: Tensor) throws {
        let buckets = try logSNR.to(device: .cpu).bucketed(edges: edges).values(as: Int.self)
        let values = try new.values(as: Float.self)
        var sums: [Int: (total: Double, count: Double)] = [:]
        for (bucket, value) in zip(buckets, values) {
            let before = sums[bucket] ?? (0, 0)
            sums[bucket] = (before.total + Double(value), before.count + 1)
        }
        var table = try losses.values(as: Float.self)
        for (bucket, sum) in sums {
            table[bucket] = Float(Self.momentum * Double(table[bucket]) + (1 - Self.momentum) * sum.total / sum.count)
        }
        losses = try Tensor(table)
    }

    /// Takes up saved running losses [300].
    public func restore(_ saved: Tensor) throws { losses = try saved.to(dtype: .float32) }
}
