import AdapterKit
import Cascade
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
}
