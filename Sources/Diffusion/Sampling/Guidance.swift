import Settings
import Torch

/// Classifier-free guidance (Ho and Salimans 2022): past the conditioned prediction, away from the unconditioned one.
///
/// Source: the reference's `GDF.sample` in `gdf/__init__.py`.
public struct Guidance: Sendable {
    /// How far, at t = 1 and at t = 0, in a straight line between; 1 is the conditioned prediction itself.
    public var strength = (atNoise: 3.0, atData: 3.0)
    /// How much of the guided prediction's deviation is brought back to that of the conditioned one, both over the
    /// whole batch (Lin et al. 2023).
    public var rescale = 0.7
    /// Whether deviations are each sample's own, so that it does not matter with which others a batch holds it.
    public var isPerSample = false
    /// Times between which there is guidance, ends included; outside the conditioned prediction stands alone.
    public var window = 0.0...1.0

    /// One strength at all times.
    public init(strength: Double = 3) { self.strength = (strength, strength) }

    /// Whether the conditioned prediction stands alone at every time.
    var isIdle: Bool { strength == (1, 1) }

    func isOn(at time: Double) -> Bool { !isIdle && window.contains(time) }

    /// The guided prediction, [B, C, H, W] as both that go in.
    func callAsFunction(_ conditioned: Tensor, _ free: Tensor, at time: Double) throws -> Tensor {
        let weight = strength.atNoise * time + strength.atData * (1 - time)
        let guided = try free.interpolated(to: conditioned, weight: weight)
        guard rescale > 0 else { return guided }
        func deviation(_ tensor: Tensor) throws -> Tensor {
            let dimensions = isPerSample ? Array(1..<tensor.rank) : nil
            return try tensor.variance(dimensions, keepingDimensions: isPerSample).sqrt()
        }
        let matched = try guided * deviation(conditioned) / (deviation(guided) + 1e-9)
        return try matched * rescale + guided * (1 - rescale)
    }
}

extension Guidance {
    /// Reads `cfg`, a number or one for each end of the times, and `cfg_rho`, `cfg_t_start`, `cfg_t_stop`.
    /// - Returns: nil where `cfg` is null.
    public static func read(_ fields: inout Fields) throws -> Guidance? {
        let ends = try fields.optional(
            "cfg", as: OneOrMore<Double>.self,
            Requirement("that is finite, two at most") { cfg in
                (1...2).contains(cfg.elements.count) && cfg.elements.allSatisfy(\.isFinite)
            })
        let isOff = fields.contains("cfg") && ends == nil
        var guidance = Guidance()
        if let ends = ends?.elements { guidance.strength = (ends[0], ends[ends.count - 1]) }
        guidance.rescale = try fields.value("cfg_rho", default: guidance.rescale, .within(0...1))
        let start = try fields.value("cfg_t_start", default: 1.0, .within(0...1))
        let stop = try fields.value("cfg_t_stop", default: 0.0, .within(0...1))
        guard stop <= start else {
            throw (fields.setting["cfg_t_stop"] ?? fields.setting).refusal(
                expected: "a number of at most cfg_t_start, as times run from 1 to 0")
        }
        guidance.window = stop...start
        return isOff ? nil : guidance
    }
}
