import AdapterKit
import Cascade
import Diffusion
import Torch

/// Stage C with the adapters that are attached to it.
public struct StageCDenoiser: Denoiser {
    /// Stage C with what is attached to it; a ControlNet in use is asked for its injections.
    public let model: AdaptedModel

    /// With the adapters and the ControlNet that are attached when it is called.
    public init(_ model: AdaptedModel) { self.model = model }

    /// The inputs with what the ControlNet in use makes of its condition.
    public func settled(_ inputs: ConditionInputs) throws -> ConditionInputs {
        guard inputs.injections == nil, let controlNet = model.controlNet, let control = inputs.control else {
            return inputs
        }
        var settled = inputs
        settled.injections = try controlNet(control)
        settled.control = nil
        return settled
    }

    /// Text, image embedding and injections in the dtype that Stage C computes in; zeros where there is no embedding.
    public func conditions(_ inputs: ConditionInputs, text: TextEncoder.Encoded) throws -> StageC.Conditions {
        let stageC = model.stageC
        let imageEmbeddings =
            try inputs.imageEmbeddings
            ?? .zeros([inputs.captions.count, 1, stageC.configuration.clipImageWidth], device: stageC.store.device)
        let dtype = stageC.computeDType
        var conditions = StageC.Conditions(
            clipText: try text.tokens.to(dtype: dtype), clipTextPooled: try text.pooled.to(dtype: dtype),
            clipImage: try imageEmbeddings.to(dtype: dtype))
        conditions.injections = try settled(inputs).injections ?? [:]
        return conditions
    }

    /// Stage C's prediction, computed in its dtype and returned in float32.
    public func predict(_ latents: Tensor, time: Tensor, _ conditions: StageC.Conditions) throws -> Tensor {
        let stageC = model.stageC
        return try stageC(latents.to(dtype: stageC.computeDType), time: time, conditions).to(dtype: .float32)
    }

    /// Of one image both halves are a batch: its few positions alone would leave the products waiting for the weights. Of
    /// several, one half after the other.
    public func predict(
        _ latents: Tensor, time: Tensor, guided conditions: GuidedConditions<StageC.Conditions>
    ) throws -> Sampler.Predictions {
        let (conditional, unconditional) = (conditions.conditional, conditions.unconditional)
        guard latents.size(0) == 1, var both = try conditional.joined(with: unconditional) else {
            return try .init(
                predict(latents, time: time, conditional), free: predict(latents, time: time, unconditional))
        }
        both.kept = conditions.together
        let made = try predict(latents.repeated([2, 1, 1, 1]), time: time.repeated([2]), both)
        return try .init(made.sliced(0, 0..<1), free: made.sliced(0, 1..<2))
    }
}

extension StageC.Conditions {
    /// These and others as one batch, without dropout and with nothing kept; nil where one of them has what the other lacks.
    func joined(with other: StageC.Conditions) throws -> StageC.Conditions? {
        func joined(_ a: Tensor, _ b: Tensor) throws -> Tensor { try .concatenated([a, b], dimension: 0) }
        func joined<Key>(_ a: [Key: Tensor], _ b: [Key: Tensor]) throws -> [Key: Tensor]? {
            guard Set(a.keys) == Set(b.keys) else { return nil }
            return try a.reduce(into: [:]) { all, one in all[one.key] = try b[one.key].map { try joined(one.value, $0) }
            }
        }
        guard Array(clipText.shape.dropFirst()) == Array(other.clipText.shape.dropFirst()),
            furtherInjections.count == other.furtherInjections.count, let times = try joined(times, other.times),
            let injections = try joined(injections, other.injections)
        else { return nil }
        var both = try StageC.Conditions(
            clipText: joined(clipText, other.clipText), clipTextPooled: joined(clipTextPooled, other.clipTextPooled),
            clipImage: joined(clipImage, other.clipImage))
        (both.times, both.injections) = (times, injections)
        for (own, others) in zip(furtherInjections, other.furtherInjections) {
            guard let set = try joined(own, others) else { return nil }
            both.furtherInjections.append(set)
        }
        return both
    }
}
