import Cascade
import Torch

/// Stage B.
public struct StageBDenoiser: Denoiser {
    /// The network, whose weights may be kept in another dtype than it computes in.
    public let stageB: StageB
    let dtype: DType

    /// - Parameter dtype: to compute in.
    public init(_ stageB: StageB, dtype: DType = .float32) {
        self.stageB = stageB
        self.dtype = dtype
    }

    /// The pooled text and the EffNet latents in the dtype of the computation; zeros [B, c, 1, 1] where there are none.
    public func conditions(_ inputs: ConditionInputs, text: TextEncoder.Encoded) throws -> StageB.Conditions {
        let pooled = try text.pooled.to(dtype: dtype)
        let nothing = [inputs.captions.count, stageB.configuration.effnetChannels, 1, 1]
        return try StageB.Conditions(
            effnet: (inputs.effnet ?? .zeros(nothing, device: pooled.device)).to(dtype: dtype), clip: pooled)
    }

    /// Stage B's prediction, computed in its dtype and returned in float32.
    public func predict(_ latents: Tensor, time: Tensor, _ conditions: StageB.Conditions) throws -> Tensor {
        try stageB(latents.to(dtype: dtype), time: time, conditions).to(dtype: .float32)
    }
}
