import Torch

/// What the network predicts, and what a prediction says of the data and of the noise.
///
/// Source: the reference's `gdf/targets.py`. Latents are [B, C, H, W], scales [B, 1, 1, 1].
public enum Target: String, CaseIterable, Sendable {
    /// The noise itself (Ho et al. 2020), or the data itself.
    case epsilon, x0
    /// a·epsilon - b·x0 (Salimans and Ho 2022).
    case v
    /// epsilon - x0 (Liu et al. 2022).
    case rectifiedFlow = "rectified_flow"

    /// What should be predicted for data and noise mixed with the scales.
    public func callAsFunction(x0: Tensor, epsilon: Tensor, _ scales: Scales) throws -> Tensor {
        switch self {
        case .epsilon: epsilon
        case .x0: x0
        case .v: try scales.signal * epsilon - scales.noise * x0
        case .rectifiedFlow: try epsilon - x0
        }
    }

    /// The data and the noise that latents would be mixed of, were the prediction right.
    public func estimate(_ noised: Tensor, _ prediction: Tensor, _ scales: Scales) throws -> Estimate {
        let (a, b) = (scales.signal, scales.noise)
        switch self {
        case .epsilon: return Estimate(x0: try (noised - prediction * b) / a, epsilon: prediction)
        case .x0: return Estimate(x0: prediction, epsilon: try (noised - prediction * a) / b)
        case .v:
            let sum = try a.squared() + b.squared()
            return Estimate(
                x0: try a / sum * noised - b / sum * prediction, epsilon: try b / sum * noised + a / sum * prediction)
        case .rectifiedFlow:
            // The reference leaves out the sum, which is 1 for its scaler alone.
            let sum = try a + b
            return Estimate(
                x0: try (noised - prediction * b) / sum, epsilon: try (noised + prediction * a) / sum)
        }
    }

    /// Latents without noise, and the noise, [B, C, H, W] each.
    public struct Estimate {
        /// The data, as the prediction has it.
        public let x0: Tensor
        /// The noise, as the prediction has it.
        public let epsilon: Tensor
    }
}
