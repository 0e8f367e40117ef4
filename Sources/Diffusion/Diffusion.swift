import Glibc
import Torch

/// The forward process and what training asks of the network; as it is made, what Stage C is trained with.
///
/// Source: the reference's `GDF` in `gdf/__init__.py`.
public struct Diffusion {
    /// Where samples stand between clean and noise.
    public var schedule = Schedule()
    /// What data and noise are multiplied by at a log SNR.
    public var scaler = Scaler.variancePreserving
    /// What the network is asked to predict.
    public var target = Target.epsilon
    /// What the network is told of the noise.
    public var noiseCondition = NoiseCondition()
    /// How much a sample counts in the loss, by its log SNR.
    public var lossWeight = LossWeight.p2()
    /// Moves the log SNR that the loss weight sees.
    public var lossShift = 1.0
    /// Times that are drawn are raised to this power: below 1 more of them lie near 1, where there is most noise.
    public var timePower = 1.0
    /// How much of a noise that is one number per sample and channel is mixed into the noise.
    public var offsetNoise = 0.0
    /// What the noise is mixed with before that; nil leaves it normal.
    public var pyramidNoise: PyramidNoise?

    /// The reference's values for Stage C.
    public init() {}

    /// What a batch became.
    public struct Noised {
        /// a·x0 + b·epsilon, [B, C, H, W].
        public let latents: Tensor
        /// What the network should predict, [B, C, H, W].
        public let target: Tensor
        /// [B].
        public let logSNR: Tensor
        /// What the network is told of the noise, [B].
        public let noiseCondition: Tensor
        /// [B].
        public let lossWeight: Tensor
        /// Of signal and noise, [B] each.
        public let scales: Scales
    }

    /// Random numbers of one batch.
    public struct Draw {
        /// [B, C, H, W].
        public var epsilon: Tensor
        /// Where each sample stands, on the same device.
        public var level: NoiseLevel
        /// [B, C, 1, 1]; used where `offsetNoise` is not 0.
        public var offset: Tensor?

        /// Numbers that were drawn elsewhere, as ``draw(_:device:from:)`` would have drawn them.
        public init(epsilon: Tensor, level: NoiseLevel, offset: Tensor? = nil) {
            self.epsilon = epsilon
            self.level = level
            self.offset = offset
        }
    }

    /// Draws the random numbers for latents, [C, H, W] of each sample that is drawn for.
    public func draw(_ shape: [Int], device: Device, from draws: Draws) throws -> Draw {
        var epsilon = try draws.normal(.noise, shape, device: device)
        if let pyramidNoise { epsilon = try pyramidNoise(epsilon, pyramidNoise.draw(for: epsilon, from: draws)) }
        let offset = offsetNoise == 0 ? nil : try draws.normal(.offset, [shape[0], 1, 1], device: device)
        return Draw(epsilon: epsilon, level: try level(draws).to(device: device), offset: offset)
    }

    private func level(_ draws: Draws) throws -> NoiseLevel {
        let level = try schedule.draw(draws)
        guard timePower != 1, case .time(let time) = level else { return level }
        return .time(try time.pow(timePower))
    }

    /// Mixes noise into latents [B, C, H, W].
    /// - Parameter shift: of this call, beside the schedule's own.
    public func callAsFunction(_ x0: Tensor, _ draw: Draw, shift: Double = 1) throws -> Noised {
        var epsilon = draw.epsilon
        if offsetNoise != 0, let offset = draw.offset { epsilon = try epsilon + offset * offsetNoise }
        let logSNR = try schedule.logSNR(draw.level, callShift: shift)
        let scales = try scaler(logSNR)
        let perSample = try scales.perSample
        let seenLogSNR = try lossShift == 1 ? logSNR : logSNR + 2 * Glibc.log(lossShift)
        return Noised(
            latents: try x0 * perSample.signal + epsilon * perSample.noise,
            target: try target(x0: x0, epsilon: epsilon, perSample), logSNR: logSNR,
            noiseCondition: try noiseCondition(logSNR), lossWeight: try lossWeight(seenLogSNR), scales: scales)
    }

    /// What a prediction for noised latents [B, C, H, W] says of the data and of the noise.
    public func estimate(_ noised: Tensor, _ prediction: Tensor, _ scales: Scales) throws -> Target.Estimate {
        try target.estimate(noised, prediction, scales.perSample)
    }

    /// What learns from the losses of the run: an adaptive schedule, adaptive weights.
    public var learners: [any LossLearner] { (schedule.learner.map { [$0] } ?? []) + lossWeight.learners }
}
