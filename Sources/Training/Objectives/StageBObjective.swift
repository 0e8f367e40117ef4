import Images
import Cascade
import Diffusion
import Generation
import Loading
import Torch

/// What one micro batch of Stage B costs, as the reference's `train/train_b.py` computes it: noise in Stage A's latents
/// is predicted from the EffNet latents of the image, made smaller at random or left out, and the pooled text.
struct StageBObjective: TrainingObjective {
    let stageB: StageB
    /// What it computes in.
    let dtype: DType
    let effnet: EffNetEncoder
    /// Stage A's latents.
    let encodings: ImageEncodings
    let text: TextConditions
    let diffusion: Diffusion
    let lossFunction: LossFunction
    let chances: ConditionChances
    let dropout: DropoutRates

    var stage: StageBDenoiser { StageBDenoiser(stageB, dtype: dtype) }

    func latentSides(of size: ImageSize) -> (height: Int, width: Int) {
        size.stageBLatents(patch: stageB.configuration.patchSize)
    }

    /// They are made smaller anew in every update.
    var needsImages: Bool { true }

    private var effnetConditions: EffNetConditions {
        EffNetConditions(encoder: effnet, for: stageB.configuration, device: encodings.device)
    }

    /// The loss of a micro batch, all its random numbers from the draws of its samples.
    func loss(of batch: ImageBatch, _ draws: Draws) throws -> TrainingLoss {
        let images = try ImageTensors.tensor(batch.images)
        var inputs = ConditionInputs(captions: try chances.dropping(batch.captions, draws))
        let isKept = try ConditionChances.kept(.effnet, dropout: chances.effnetDropout, draws)
        let encoded = try encodings(batch, images)
        let draw = try diffusion.draw(encoded.latents.sampleShape, device: encodings.device, from: draws)
        inputs.effnet = try effnetConditions(images, scale: effnetScale(draws), where: isKept)
        return try loss(
            PreparedBatch(latents: encoded.latents, inputs: inputs, dropout: dropout.pass(draws)), draw)
    }

    /// How much smaller all images of an update are for the EffNet encoder.
    private func effnetScale(_ draws: Draws) throws -> Double {
        let range = chances.effnetScale
        let share: Double = try draws.shared.uniform(.effnetScale).item()
        return range.lowerBound + (range.upperBound - range.lowerBound) * share
    }

    func prepare(_ images: Tensor, captions: [String], condition: Tensor?) throws -> PreparedBatch {
        var inputs = ConditionInputs(captions: captions)
        inputs.effnet = try effnetConditions(images)
        return PreparedBatch(latents: try encodings.latents(images), inputs: inputs)
    }

    func conditions(_ batch: PreparedBatch) throws -> StageB.Conditions {
        var conditions = try stage.conditions(batch.inputs, text: text(batch.inputs.captions))
        conditions.dropout = batch.dropout
        return conditions
    }
}
