import Cascade
import Torch

/// Stage B, in float32.
public struct StageBDenoiser: Denoiser {
    public let stageB: StageB

    public init(_ stageB: StageB) { self.stageB = stageB }

    public func conditions(_ inputs: ConditionInputs, text: TextEncoder.Encoded) throws -> StageB.Conditions {
        let pooled = try text.pooled.to(dtype: .float32)
        let nothing = [inputs.captions.count, stageB.configuration.effnetChannels, 1, 1]
        return try StageB.Conditions(
            effnet: inputs.effnet ?? .zeros(nothing, device: pooled.device), clip: pooled)
    }

    public func predict(_ latents: Tensor, time: Tensor, _ conditions: StageB.Conditions) throws -> Tensor {
        try stageB(latents, time: time, conditions)
    }
}
