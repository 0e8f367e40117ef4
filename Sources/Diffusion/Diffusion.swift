import Glibc
import Torch

/// The forward process of Stage C and what training asks of the network: variance-preserving noise, the noise as
/// target.
///
/// Source: the reference's `gdf/__init__.py` with the values that Stage C is trained with.
public struct Diffusion {
    public var schedule = CosineSchedule()
    public var noiseCondition = CosineNoiseCondition()
    public var lossWeight = LossWeight.p2()
    /// Moves the log SNR that the loss weight sees.
    public var lossShift = 1.0
    /// How much of a noise that is one number per sample and channel is mixed into the noise.
    public var offsetNoise = 0.0

    public init() {}

    /// What a batch became.
    public struct Noised {
        /// a·x0 + b·epsilon, [B, C, H, W].
        public let latents: Tensor
        /// What the network should predict, [B, C, H, W].
        public let target: Tensor
        /// [B].
        public let logSNR: Tensor
        /// The time that the network is given, [B].
        public let noiseCondition: Tensor
        /// [B].
        public let lossWeight: Tensor
        /// Scale of the signal, [B].
        public let signal: Tensor
        /// Scale of the noise, [B].
        public let noise: Tensor
    }

    /// Random numbers of one batch.
    public struct Draw {
        /// [B, C, H, W].
        public var epsilon: Tensor
        /// [B].
        public var time: Tensor
        /// [B, C, 1, 1]; used where `offsetNoise` is not 0.
        public var offset: Tensor?

        public init(epsilon: Tensor, time: Tensor, offset: Tensor? = nil) {
            self.epsilon = epsilon
            self.time = time
            self.offset = offset
        }
    }

    /// Draws the random numbers for latents of a shape.
    public func draw(_ shape: [Int], device: Device, from generator: Generator) throws -> Draw {
        let epsilon = try generator.normal(shape, device: device)
        let offset =
            offsetNoise == 0 ? nil : try generator.normal([shape[0], shape[1], 1, 1], device: device)
        return Draw(
            epsilon: epsilon, time: try schedule.draw(shape[0], from: generator).to(device: device), offset: offset)
    }

    /// Mixes noise into latents [B, C, H, W].
    /// - Parameter shift: of this call, beside the schedule's own.
    public func callAsFunction(_ x0: Tensor, _ draw: Draw, shift: Double = 1) throws -> Noised {
        var epsilon = draw.epsilon
        if offsetNoise != 0, let offset = draw.offset { epsilon = try epsilon + offset * offsetNoise }
        let logSNR = try schedule.logSNR(draw.time, callShift: shift)
        let (signal, noise) = try Self.scales(logSNR)
        let seenLogSNR = try lossShift == 1 ? logSNR : logSNR + 2 * Glibc.log(lossShift)
        return Noised(
            latents: try x0 * Self.perSample(signal) + epsilon * Self.perSample(noise), target: epsilon,
            logSNR: logSNR, noiseCondition: try noiseCondition(logSNR),
            lossWeight: try lossWeight(seenLogSNR), signal: signal, noise: noise)
    }

    /// Scales of signal and noise [B] at log SNR [B]: their squares sum to one.
    public static func scales(_ logSNR: Tensor) throws -> (signal: Tensor, noise: Tensor) {
        let signalVariance = try logSNR.sigmoid()
        return (try signalVariance.sqrt(), try (1 - signalVariance).sqrt())
    }

    /// [B] as [B, 1, 1, 1].
    static func perSample(_ values: Tensor) throws -> Tensor { try values.reshaped([-1, 1, 1, 1]) }
}
