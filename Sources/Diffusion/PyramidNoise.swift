import Glibc
import Torch

/// Noise with coarse patches in it: normal noise, and noise of fewer and fewer pixels stretched over it.
///
/// The i-th addition has a 2^i-th of the sides and counts 0.75^i as much; the sum is brought back to variance 1. Stage B
/// is trained with it. Source: `_pyramid_noise` of the reference's `train/train_b.py`, which takes the height of the
/// latents for both sides; here each side has its own, the same for squares.
public struct PyramidNoise: Sendable {
    /// Sides of the additions: one whose height or width lies in it takes part.
    public var sides = 1...16
    /// What the i-th addition counts is this to the power of i.
    public var decay = 0.75
    /// How many sizes there are at most, the noise itself counted.
    public var levels = 10

    /// The reference's values for Stage B.
    public init() {}

    /// The sizes that are added to noise of a size, the finest first, and what each counts.
    func additions(height: Int, width: Int) -> [(height: Int, width: Int, factor: Double)] {
        var additions: [(height: Int, width: Int, factor: Double)] = []
        for level in 1..<max(1, levels) {
            let (h, w) = (height >> level, width >> level)
            guard h > 0, w > 0 else { break }
            if sides.contains(h) || sides.contains(w) { additions.append((h, w, Glibc.pow(decay, Double(level)))) }
            if h == 1 || w == 1 { break }
        }
        return additions
    }

    /// Draws what is added to noise [B, C, H, W]: [B, C, h, w] each, the finest first.
    public func draw(for epsilon: Tensor, from draws: Draws) throws -> [Tensor] {
        try additions(height: epsilon.size(2), width: epsilon.size(3)).enumerated().map { position, addition in
            try draws.normal(
                .pyramid, [epsilon.size(1), addition.height, addition.width], position: position, device: epsilon.device
            )
        }
    }

    /// Adds what was drawn to noise [B, C, H, W].
    public func callAsFunction(_ epsilon: Tensor, _ drawn: [Tensor]) throws -> Tensor {
        let (height, width) = (epsilon.size(2), epsilon.size(3))
        let factors = additions(height: height, width: width).map(\.factor)
        let sum = try zip(drawn, factors).reduce(epsilon) { sum, addition in
            try sum + addition.0.resizedToNearest(height: height, width: width) * addition.1
        }
        return try sum / factors.reduce(1) { $0 + $1 * $1 }.squareRoot()
    }
}
