import Cascade
import Diffusion
import Torch

/// A stage as training and sampling ask it for predictions.
///
/// Captions are encoded apart from it, so that the text encoder can be gone by the time a stage is there.
public protocol Denoiser {
    /// What the network is conditioned on.
    associatedtype Conditions: KeepingConditions

    /// The same inputs with what is made of them, for those that are used again and again.
    func settled(_ inputs: ConditionInputs) throws -> ConditionInputs

    /// - Parameter text: the inputs' captions, encoded.
    func conditions(_ inputs: ConditionInputs, text: TextEncoder.Encoded) throws -> Conditions

    /// - Parameters:
    ///   - latents: [B, c, h, w], float32.
    ///   - time: [B], the noise condition in 0...1.
    /// - Returns: [B, c, h, w], float32.
    func predict(_ latents: Tensor, time: Tensor, _ conditions: Conditions) throws -> Tensor

    /// What guidance goes between, of latents and times as above.
    func predict(_ latents: Tensor, time: Tensor, guided conditions: GuidedConditions<Conditions>) throws
        -> Sampler.Predictions
}

/// Conditions of which something can be kept from step to step.
public protocol KeepingConditions {
    /// What is kept; nil keeps nothing.
    var kept: KeptCondition? { get set }
}

extension StageB.Conditions: KeepingConditions {}
extension StageC.Conditions: KeepingConditions {}

/// The conditions of one sampling.
public struct GuidedConditions<Conditions: KeepingConditions> {
    /// Of the images.
    public var conditional: Conditions
    /// What guidance leads away from.
    public var unconditional: Conditions
    /// Of both in one pass.
    var together = KeptCondition()

    /// Nothing is kept of either yet.
    public init(_ conditional: Conditions, unconditional: Conditions) {
        (self.conditional, self.unconditional) = (conditional, unconditional)
        forget()
    }

    /// Keeps nothing of what was made so far, for weights or adapters have changed.
    mutating func forget() {
        (conditional.kept, unconditional.kept, together) = (KeptCondition(), KeptCondition(), KeptCondition())
    }
}

extension Denoiser {
    /// The inputs as they are: by default nothing is made beforehand.
    public func settled(_ inputs: ConditionInputs) throws -> ConditionInputs { inputs }

    /// One half after the other, which takes half the memory of both in one batch.
    public func predict(
        _ latents: Tensor, time: Tensor, guided conditions: GuidedConditions<Conditions>
    ) throws -> Sampler.Predictions {
        try .init(
            predict(latents, time: time, conditions.conditional),
            free: predict(latents, time: time, conditions.unconditional))
    }

    /// The predictions of a step.
    func predict(
        _ latents: Tensor, time: Tensor, _ conditions: GuidedConditions<Conditions>, isGuided: Bool
    ) throws -> Sampler.Predictions {
        guard !isGuided else { return try predict(latents, time: time, guided: conditions) }
        return .init(try predict(latents, time: time, conditions.conditional), free: nil)
    }

    /// Makes latents of noise.
    /// - Parameters:
    ///   - start: the noise, [B, c, h, w], float32.
    /// - Returns: the last step's prediction of the latents without noise, [B, c, h, w], float32.
    public func sample(
        from start: Tensor, with sampler: Sampler, _ conditions: GuidedConditions<Conditions>, draws: Draws
    ) throws -> Tensor {
        try sampler(from: start) { step in
            try draws.normal(.sampling, start.sampleShape, position: step, device: start.device)
        } predict: { latents, time, isGuided in
            try predict(latents, time: time, conditions, isGuided: isGuided)
        }
    }
}
