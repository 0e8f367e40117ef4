import Torch

/// How much a sample counts by its log SNR.
///
/// Source: the reference's `gdf/loss_weights.py`.
public enum LossWeight {
    /// Every sample counts alike.
    case constant(Double = 1)
    /// Signal over noise, squared: e to the log SNR.
    case snr
    /// (k + SNR^s)^-gamma (Choi et al. 2022).
    case p2(k: Double = 1, gamma: Double = 1, s: Double = 1)
    /// SNR + 1 (Salimans and Ho 2022).
    case snrPlusOne
    /// At most `maximum` (Hang et al. 2023).
    case minSNR(maximum: Double = 5)
    /// SNR + 1, at most `maximum`.
    case minSNRPlusOne(maximum: Double = 5)
    /// At least `minimum` (Salimans and Ho 2022).
    case truncatedSNR(minimum: Double = 1)
    /// Hyperbolic secant of log SNR over `width` (Kingma and Gao 2023).
    case sech(width: Double = 2)
    /// One over the root of SNR (Yu et al. 2023).
    case debiased
    /// The sigmoid of `slope` times log SNR.
    case sigmoid(slope: Double = 1)
    /// By the loss that samples of the like noise had.
    case adaptive(AdaptiveLossWeight)
    /// The product of some over the product of others.
    indirect case composed(multiplied: [LossWeight], divided: [LossWeight])

    /// What bounds every weight.
    private static let limit = 1e9

    /// Weights [B] for log SNR [B].
    public func callAsFunction(_ logSNR: Tensor) throws -> Tensor {
        try unbounded(logSNR).clamped(min: -Self.limit, max: Self.limit)
    }

    private func unbounded(_ logSNR: Tensor) throws -> Tensor {
        switch self {
        case .constant(let value): return try .full(logSNR.shape, value, device: logSNR.device)
        case .snr: return try logSNR.exp()
        case .p2(let k, let gamma, let s): return try ((logSNR * s).exp() + k).pow(-gamma)
        case .snrPlusOne: return try logSNR.exp() + 1
        case .minSNR(let maximum): return try logSNR.exp().clamped(max: maximum)
        case .minSNRPlusOne(let maximum): return try (logSNR.exp() + 1).clamped(max: maximum)
        case .truncatedSNR(let minimum): return try logSNR.exp().clamped(min: minimum)
        case .sech(let width): return try (logSNR / width).cosh().reciprocal()
        case .debiased: return try logSNR.exp().sqrt().reciprocal()
        case .sigmoid(let slope): return try (logSNR * slope).sigmoid()
        case .adaptive(let weight): return try weight(logSNR)
        case .composed(let multiplied, let divided):
            func product(_ weights: [LossWeight]) throws -> Tensor {
                let one = try Tensor.full(logSNR.shape, 1, device: logSNR.device)
                return try weights.reduce(one) { try $0 * $1.unbounded(logSNR) }
            }
            return try product(multiplied) / product(divided)
        }
    }

    /// What learns from the losses of the run.
    public var learners: [any LossLearner] {
        switch self {
        case .adaptive(let weight): [weight]
        case .composed(let multiplied, let divided): (multiplied + divided).flatMap(\.learners)
        default: []
        }
    }
}
