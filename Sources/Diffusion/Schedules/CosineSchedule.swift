import Torch

/// Nichol and Dhariwal's cosine schedule (2021): the signal's variance is a squared cosine of t.
///
/// Source: the reference's `CosineSchedule` in `gdf/schedulers.py`. The order of the operations is the reference's:
/// near t = 0 float32 keeps three digits of 1 - variance.
public struct CosineSchedule: ScheduleCurve {
    /// Keeps the steps near t = 0 from becoming too small.
    public var offset = 0.008
    /// How the signal's variance is kept away from 0 and 1.
    public var bounds = VarianceBounds()

    /// The reference's values.
    public init() {}

    /// log SNR [B] of the signal's variance cos²(π/2 · (t + offset) / (1 + offset)), divided by its value at t = 0.
    public func logSNR(at time: Tensor) throws -> Tensor {
        let wave = try CosineWave(offset: offset, device: time.device)
        let angle = try (wave.offset + time) / (1 + wave.offset) * Double.pi * 0.5
        return try bounds.logSNR(angle.cos().clamped(min: 0, max: 1).squared() / wave.start)
    }

    /// 1 - u + 0.001 for u uniform, kept within 0.001...1.
    public func drawTimes(_ draws: Draws) throws -> Tensor {
        try (1.001 - draws.uniform(.level)).clamped(min: 0.001, max: 1)
    }
}

/// What the cosine schedule and its inverse share.
struct CosineWave {
    /// [1].
    let offset: Tensor
    /// The squared cosine at t = 0, [1].
    let start: Tensor

    init(offset: Double, device: Device) throws {
        self.offset = try Tensor([Float(offset)]).to(device: device)
        start = try (self.offset / (1 + self.offset) * Double.pi * 0.5).cos().squared()
    }
}

/// How the signal's variance is kept away from 0 and 1, where the log SNR is infinite.
public struct VarianceBounds: Sendable {
    /// The least and the largest variance that is let through, within 0...1.
    public var range = 0.0001...0.9999
    /// Squeezes 0...1 into the range instead of cutting off what lies outside.
    public var isScaling = false

    func logSNR(_ variance: Tensor) throws -> Tensor {
        let bounded =
            try isScaling
            ? variance * (range.upperBound - range.lowerBound) + range.lowerBound
            : variance.clamped(min: range.lowerBound, max: range.upperBound)
        return try (bounded / (1 - bounded)).log()
    }
}
