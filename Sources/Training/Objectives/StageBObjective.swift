import Cascade
import Diffusion
import Generation
import Loading
import Torch

/// What one micro batch of Stage B costs, as the reference's `train/train_b.py` computes it: noise in Stage A's latents
/// is predicted from the EffNet latents of the image, made smaller at random or left out, and the pooled text.
struct StageBObjective: TrainingObjective {
    let stageB: StageB
    let effnet: EffNetEncoder
    /// Stage A's latents.
    let encodings: PictureEncodings
    let text: TextConditions
    let diffusion: Diffusion
    let lossFunction: LossFunction
    let chances: ConditionChances
    let dropout: DropoutRates

    var stage: StageBDenoiser { StageBDenoiser(stageB) }

    /// They are made smaller anew in every update.
    var needsPictures: Bool { true }

    private var effnetConditions: EffNetConditions {
        EffNetConditions(encoder: effnet, for: stageB.configuration, device: encodings.device)
    }

    /// The loss of a micro batch, all its random numbers from the generator.
    func loss(of batch: PictureBatch, _ generator: Generator) throws -> TrainingLoss {
        let images = try ImageTensors.tensor(batch.pictures)
        var inputs = ConditionInputs(captions: try chances.dropping(batch.captions, generator))
        let range = chances.effnetScale
        let scale = try range.lowerBound + (range.upperBound - range.lowerBound) * generator.uniform()
        let isKept = try ConditionChances.kept(inputs.captions.count, dropout: chances.effnetDropout, generator)
        let encoded = try encodings(batch, images)
        let draw = try diffusion.draw(encoded.latents.shape, device: encodings.device, from: generator)
        inputs.effnet = try effnetConditions(images, scale: scale, where: isKept)
        let dropout = try dropout.draw(generator)
        return try loss(PreparedBatch(latents: encoded.latents, inputs: inputs, dropout: dropout), draw)
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
