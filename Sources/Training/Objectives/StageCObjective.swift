import AdapterKit
import Cascade
import Diffusion
import Generation
import Loading
import Torch

/// What one micro batch of Stage C costs, as the reference's trainers compute it.
struct StageCObjective: TrainingObjective {
    let model: AdaptedModel
    let encodings: PictureEncodings
    let text: TextConditions
    let diffusion: Diffusion
    let lossFunction: LossFunction
    let chances: ConditionChances
    let dropout: DropoutRates
    /// What is trained on the model and may drop parts of itself.
    var adapters: [any Adapter] = []

    func prepare(_ pictures: Tensor, captions: [String], condition: Tensor?) throws -> PreparedBatch {
        PreparedBatch(
            latents: try encodings.latents(pictures), captions: captions,
            condition: try condition?.to(device: encodings.device))
    }

    /// The loss of a micro batch, all its random numbers from the generator but for those of its conditions.
    func loss(of batch: PictureBatch, _ generator: Generator) throws -> TrainingLoss {
        let pictures = batch.pictures.isEmpty ? nil : try TensorPictures.tensor(batch.pictures)
        let captions = try chances.dropping(batch.captions, generator)
        let encoded = try encodings(batch, pictures)
        let draw = try diffusion.draw(encoded.latents.shape, device: encodings.device, from: generator)
        let dropout = try dropout.draw(generator)
        // Drawn last, so that a run without a picture tower has the same numbers.
        let isKept =
            encodings.tower == nil
            ? [] : try ConditionChances.kept(captions.count, dropout: chances.pictureDropout, generator)
        let adapterSeed = try adapters.contains(where: \.hasDropout) ? generator.seed() : nil
        let prepared = PreparedBatch(
            latents: encoded.latents, captions: captions,
            condition: try batch.condition()?.to(device: encodings.device),
            clipImage: isKept.contains(true) ? try encodings.embeddings(encoded, where: isKept) : nil,
            dropout: dropout, adapterSeed: adapterSeed)
        return try loss(prepared, draw)
    }

    func conditions(_ batch: PreparedBatch) throws -> StageC.Conditions {
        // Held until the next batch: a pass that is computed again for its gradients drops the same.
        for adapter in adapters { adapter.setDropout(seed: batch.adapterSeed) }
        let encoded = try text(batch.captions)
        let stageC = model.stageC
        let clipImage =
            try batch.clipImage
            ?? .zeros([batch.captions.count, 1, stageC.configuration.clipImageWidth], device: stageC.store.device)
        let dtype = stageC.computeDType
        var conditions = StageC.Conditions(
            clipText: try encoded.tokens.to(dtype: dtype), clipTextPooled: try encoded.pooled.to(dtype: dtype),
            clipImage: try clipImage.to(dtype: dtype))
        conditions.injections = try settled(batch).injections ?? [:]
        conditions.dropout = batch.dropout
        return conditions
    }

    /// The batch with what the ControlNet in use makes of its condition.
    func settled(_ batch: PreparedBatch) throws -> PreparedBatch {
        guard batch.injections == nil, let controlNet = model.controlNet, let condition = batch.condition else {
            return batch
        }
        var settled = batch
        settled.injections = try controlNet(condition)
        settled.condition = nil
        return settled
    }

    func unconditioned(_ batch: PreparedBatch) -> PreparedBatch {
        var free = batch
        free.captions = batch.captions.map { _ in "" }
        free.clipImage = nil
        return free
    }

    func predict(_ latents: Tensor, time: Tensor, _ conditions: StageC.Conditions) throws -> Tensor {
        try model.stageC(latents.to(dtype: model.stageC.computeDType), time: time, conditions).to(dtype: .float32)
    }
}
