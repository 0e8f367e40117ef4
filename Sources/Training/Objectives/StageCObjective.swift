import Images
import AdapterKit
import Cascade
import Diffusion
import Generation
import Loading
import Torch

/// What one micro batch of Stage C costs, as the reference's trainers compute it.
struct StageCObjective: TrainingObjective {
    let model: AdaptedModel
    let encodings: ImageEncodings
    let text: TextConditions
    let diffusion: Diffusion
    let lossFunction: LossFunction
    let chances: ConditionChances
    let dropout: DropoutRates
    /// What is trained on the model and may drop parts of itself.
    var adapters: [any Adapter] = []

    var stage: StageCDenoiser { StageCDenoiser(model) }

    func prepare(_ images: Tensor, captions: [String], condition: Tensor?) throws -> PreparedBatch {
        var inputs = ConditionInputs(captions: captions)
        inputs.control = try condition?.to(device: encodings.device)
        return PreparedBatch(latents: try encodings.latents(images), inputs: inputs)
    }

    /// The loss of a micro batch, all its random numbers from the draws of its samples but for those of its conditions.
    func loss(of batch: ImageBatch, _ draws: Draws) throws -> TrainingLoss {
        let images = batch.images.isEmpty ? nil : try ImageTensors.tensor(batch.images)
        let captions = try chances.dropping(batch.captions, draws)
        let encoded = try encodings(batch, images)
        let draw = try diffusion.draw(encoded.latents.sampleShape, device: encodings.device, from: draws)
        let isKept =
            encodings.tower == nil ? [] : try ConditionChances.kept(.image, dropout: chances.imageDropout, draws)
        var inputs = ConditionInputs(captions: captions)
        inputs.control = try batch.condition()?.to(device: encodings.device)
        inputs.imageEmbeddings = isKept.contains(true) ? try encodings.embeddings(encoded, where: isKept) : nil
        return try loss(
            PreparedBatch(
                latents: encoded.latents, inputs: inputs, dropout: dropout.pass(draws), adapterDropout: draws), draw)
    }

    func latentSides(of size: ImageSize) -> (height: Int, width: Int) {
        size.latents(of: model.stageC.configuration)
    }

    func conditions(_ batch: PreparedBatch) throws -> StageC.Conditions {
        // Held until the next batch: a pass that is computed again for its gradients drops the same.
        for (index, adapter) in adapters.enumerated() { adapter.setDropout(batch.adapterDropout?.branch(index)) }
        var conditions = try stage.conditions(batch.inputs, text: text(batch.inputs.captions))
        conditions.dropout = batch.dropout
        return conditions
    }
}
