import Settings
import Torch

/// How a sampler goes from one noise level to the next.
///
/// Source: the reference's `gdf/samplers.py`.
public enum SamplingStep: Sendable {
    /// Song et al. (2020); `freshNoise`, their eta, is 0 where nothing is drawn and 1 for ancestral sampling.
    case ddim(freshNoise: Double = 0)
    /// Noises the data predicted anew (Luo et al. 2023).
    case lcm

    /// Ancestral sampling (Ho et al. 2020).
    public static let ddpm = SamplingStep.ddim(freshNoise: 1)

    /// Latents [B, C, H, W] at the next level.
    /// - Parameters:
    ///   - estimate: what the latents are mixed of, as the network predicts.
    ///   - now: the scales of this level, [B, 1, 1, 1] each.
    ///   - next: those of the next.
    ///   - fresh: draws standard normal numbers in the shape of the latents; asked once at most.
    func callAsFunction(
        _ estimate: Target.Estimate, from now: Scales, to next: Scales, fresh: () throws -> Tensor
    ) throws -> Tensor {
        let signal = try next.signal * estimate.x0
        switch self {
        case .lcm: return try signal + fresh() * next.noise
        case .ddim(let eta) where eta == 0: return try signal + next.noise * estimate.epsilon
        case .ddim(let eta):
            let ratio = try (next.noise.squared() / now.noise.squared()).sqrt()
            // Where the scales' squares don't sum to one, or eta is above 1, there may be more fresh noise than noise.
            let rest = try (1 - now.signal.squared() / next.signal.squared()).clamped(min: 0)
            let drawn = try ratio * eta * rest.sqrt()
            let kept = try (next.noise.squared() - drawn.squared()).clamped(min: 0).sqrt()
            return try signal + kept * estimate.epsilon + drawn * fresh()
        }
    }
}

extension SamplingStep: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "a sampler" }

    /// Reads a name, or a mapping with `name` and, for ddpm and ddim, `eta`.
    public static func read(_ setting: Setting) throws -> SamplingStep {
        try setting.choice(
            among: [
                "ddpm": { .ddim(freshNoise: try $0.value("eta", default: 1, .notNegative)) },
                "ddim": { .ddim(freshNoise: try $0.value("eta", default: 0, .notNegative)) },
                "lcm": { _ in .lcm },
            ])
    }
}
