import Torch

/// Zeros at random places, and the rest scaled so that the mean stays (Srivastava et al. 2014).
///
/// The places come from a seed and a position in the network: a pass that is computed again, for gradient
/// checkpointing or after a resume, has the same zeros.
public struct Dropout: Sendable {
    private let rate: Double
    private let seed: UInt64
    private let position: Int

    /// - Parameters:
    ///   - rate: the share of zeros, at least 0 and below 1.
    ///   - position: which of the network's dropouts it is.
    public init(rate: Double, seed: UInt64, position: Int) {
        self.rate = rate
        self.seed = seed
        self.position = position
    }

    /// To the same shape.
    /// - Parameter part: which of several tensors that pass the same place it is; each has zeros of its own.
    public func callAsFunction(_ x: Tensor, part: Int = 0) throws -> Tensor {
        let drawn = try Generator(seed: seed, stream: UInt64(part), update: position).uniform(x.shape)
        let scales = try (drawn + (1 - rate)).floor() / (1 - rate)
        return try x * scales.to(device: x.device).to(dtype: x.dtype)
    }
}
