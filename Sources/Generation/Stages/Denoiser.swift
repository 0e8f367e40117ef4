import Cascade
import Diffusion
import Torch

/// A stage as training and sampling ask it for predictions.
///
/// Captions are encoded apart from it, so that the text encoder can be gone by the time a stage is there.
public protocol Denoiser {
    /// What the network is conditioned on.
    associatedtype Conditions

    /// The same inputs with what is made of them, for those that are used again and again.
    func settled(_ inputs: ConditionInputs) throws -> ConditionInputs

    /// - Parameter text: the inputs' captions, encoded.
    func conditions(_ inputs: ConditionInputs, text: TextEncoder.Encoded) throws -> Conditions

    /// - Parameters:
    ///   - latents: [B, c, h, w], float32.
    ///   - time: [B], the noise condition in 0...1.
    /// - Returns: [B, c, h, w], float32.
    func predict(_ latents: Tensor, time: Tensor, _ conditions: Conditions) throws -> Tensor
}

extension Denoiser {
    /// The inputs as they are: by default nothing is made beforehand.
    public func settled(_ inputs: ConditionInputs) throws -> ConditionInputs { inputs }

    /// Makes latents of noise.
    /// - Parameters:
    ///   - start: the noise, [B, c, h, w], float32.
    ///   - conditions: the second half is what guidance leads away from.
    /// - Returns: the last step's prediction of the latents without noise, [B, c, h, w], float32.
    public func sample(
        from start: Tensor, with sampler: Sampler, _ conditions: (conditional: Conditions, unconditional: Conditions),
        draws: Draws
    ) throws -> Tensor {
        try sampler(from: start) { step in
            try draws.normal(.sampling, start.sampleShape, position: step, device: start.device)
        } predict: { latents, time, isConditional in
            try predict(latents, time: time, isConditional ? conditions.conditional : conditions.unconditional)
        }
    }
}
