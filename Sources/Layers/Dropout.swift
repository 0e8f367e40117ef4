import Torch

/// Zeros at random places, and the rest scaled so that the mean stays (Srivastava et al. 2014).
///
/// The places come from the sample and the position in the network: a pass that is computed again, for gradient
/// checkpointing, in another batch or after a resume, has the same zeros.
public struct Dropout: Sendable {
    private let rate: Double
    private let draws: Draws
    private let purpose: Draws.Purpose
    private let position: Int

    /// - Parameters:
    ///   - rate: the share of zeros, at least 0 and below 1.
    ///   - draws: of the samples that pass.
    ///   - purpose: whose dropout it is.
    ///   - position: which of its dropouts, below 2^23.
    public init(rate: Double, draws: Draws, _ purpose: Draws.Purpose, position: Int) {
        self.rate = rate
        self.draws = draws
        self.purpose = purpose
        self.position = position
    }

    /// To the same shape.
    /// - Parameters:
    ///   - x: [samples, ...].
    ///   - part: which of two tensors that pass the same place it is, 0 or 1; each has zeros of its own.
    public func callAsFunction(_ x: Tensor, part: Int = 0) throws -> Tensor {
        try draws.dropping(rate, of: x, purpose, position: 2 * position + part)
    }

    /// ``Torch/Tensor/attention(own:condition:heads:)``, whose softmax passes this.
    func attention(own: Tensor, condition: Tensor, heads: Int) throws -> Tensor {
        try draws.attention(
            own: own, condition: condition, heads: heads, dropping: rate, purpose, position: 2 * position)
    }
}
