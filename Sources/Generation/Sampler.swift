import Cascade
import Diffusion
import Torch

/// Ancestral sampling (Ho et al. 2020) with classifier-free guidance, as the reference previews its training.
///
/// Source: the reference's `gdf/samplers.py` and `gdf/__init__.py`.
public struct DDPMSampler {
    public var steps = 20
    /// How far past the conditioned prediction, away from the unconditioned one; nil samples without guidance.
    public var guidance: Double? = 5
    /// How much of the guided prediction's deviation is brought back to that of the conditioned one.
    public var rescale = 0.7
    public var schedule = CosineSchedule()
    public var noiseCondition = CosineNoiseCondition()

    public init() {}

    /// Draws latents.
    /// - Parameters:
    ///   - shape: [B, C, h, w].
    ///   - predict: the network's noise for latents and times [B], conditioned or not.
    /// - Returns: the last step's prediction of the latents without noise, [B, C, h, w], float32.
    public func callAsFunction(
        _ shape: [Int], device: Device, generator: Generator,
        predict: (_ latents: Tensor, _ time: Tensor, _ conditioned: Bool) throws -> Tensor
    ) throws -> Tensor {
        try withoutGradients {
            var x = try generator.normal(shape, device: device)
            var estimate = x
            for step in 0..<steps {
                func logSNR(_ step: Int) throws -> Tensor {
                    try schedule.logSNR(Tensor([Float(1 - Double(step) / Double(steps))]))
                }
                let now = try logSNR(step)
                let time = try noiseCondition(now).to(device: device).expanded([shape[0]])
                let epsilon = try guided(x, time, predict)
                let (a, b) = try scales(now)
                estimate = try (x - epsilon * b) * (1 / a)
                guard step + 1 < steps else { break }
                let (nextA, nextB) = try scales(logSNR(step + 1))
                // The noise that is drawn anew: the posterior's deviation.
                let fresh = nextB / b * (1 - a * a / (nextA * nextA)).squareRoot()
                let kept = max(0, nextB * nextB - fresh * fresh).squareRoot()
                x = try estimate * nextA + epsilon * kept + generator.normal(shape, device: device) * fresh
            }
            return estimate
        }
    }

    private func guided(
        _ x: Tensor, _ time: Tensor, _ predict: (Tensor, Tensor, Bool) throws -> Tensor
    ) throws -> Tensor {
        let conditioned = try predict(x, time, true).to(dtype: .float32)
        guard let guidance else { return conditioned }
        let free = try predict(x, time, false).to(dtype: .float32)
        let guided = try free + (conditioned - free) * guidance
        guard rescale > 0 else { return guided }
        let ratio = try (conditioned.variance() / guided.variance()).sqrt().item()
        return try guided * (rescale * ratio + 1 - rescale)
    }

    private func scales(_ logSNR: Tensor) throws -> (Double, Double) {
        let (signal, noise) = try Diffusion.scales(logSNR)
        return (try signal.item(), try noise.item())
    }
}
