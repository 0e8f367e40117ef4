import Images
import Cascade
import Diffusion
import Generation
import Torch

/// What one micro batch costs, for the network that a recipe trains or adapts.
///
/// Batches of the loader, validation samples and previews all go through the same few steps: images become a prepared
/// batch, a prepared batch becomes the network's conditions, and the network predicts.
protocol TrainingObjective {
    associatedtype Stage: Denoiser

    /// What is trained or adapted.
    var stage: Stage { get }
    var encodings: ImageEncodings { get }
    var text: TextConditions { get }
    var diffusion: Diffusion { get }
    var lossFunction: LossFunction { get }
    /// Whether an update needs the images themselves, also those whose encodings are known.
    var needsImages: Bool { get }

    /// Images [B, 3, H, W] in 0...1 as the network sees them without any chance; nothing of this wants gradients.
    /// - Parameter condition: the ControlNet's, [B, c, h, w].
    func prepare(_ images: Tensor, captions: [String], condition: Tensor?) throws -> PreparedBatch

    func conditions(_ batch: PreparedBatch) throws -> Stage.Conditions

    /// The sides of the latents of an image as `generate` makes it.
    func latentSides(of size: ImageSize) -> (height: Int, width: Int)
}

extension TrainingObjective {
    var needsImages: Bool { false }

    /// The same batch with what is made of its condition, for one that is used again and again.
    func settled(_ batch: PreparedBatch) throws -> PreparedBatch {
        var settled = batch
        settled.inputs = try stage.settled(batch.inputs)
        return settled
    }

    /// The loss of a batch whose random numbers are drawn already.
    func loss(_ batch: PreparedBatch, _ draw: Diffusion.Draw) throws -> TrainingLoss {
        let noised = try diffusion(batch.latents, draw)
        let prediction = try stage.predict(noised.latents, time: noised.noiseCondition, conditions(batch))
        let perSample = try lossFunction(prediction, noised.target)  // [B]
        return TrainingLoss(
            weighted: try (perSample * noised.lossWeight).mean(), perSample: try perSample.detached(),
            logSNR: noised.logSNR)
    }

    /// Latents of noise for the samples of a batch, guided away from their unconditional half.
    /// - Parameter draws: of the samples.
    func sample(_ batch: PreparedBatch, with sampler: Sampler, draws: Draws) throws -> Tensor {
        let settled = try settled(batch)
        var unconditional = settled
        unconditional.inputs = settled.inputs.unconditional
        let conditions = try GuidedConditions(conditions(settled), unconditional: conditions(unconditional))
        let start = try draws.normal(.noise, batch.latents.sampleShape, device: batch.latents.device)
        return try stage.sample(from: start, with: sampler, conditions, draws: draws)
    }
}

/// A batch in the form the network sees it.
struct PreparedBatch {
    /// What is noised and predicted, [B, c, h, w], float32.
    let latents: Tensor
    var inputs: ConditionInputs
    /// What the network drops while it is trained on the batch; nil drops nothing.
    var dropout: DropoutPass?
    /// What the adapters' dropout draws from while they are trained on the batch; nil drops nothing.
    var adapterDropout: Draws?

    /// One of the samples.
    func sample(_ index: Int) throws -> PreparedBatch {
        PreparedBatch(latents: try latents.sliced(0, index..<index + 1), inputs: try inputs.sample(index))
    }

    /// Some samples as one batch.
    /// - Parameter others: samples whose conditions take the place of their own.
    static func joined(_ samples: [PreparedBatch], conditionsOf others: [PreparedBatch]) throws -> PreparedBatch {
        PreparedBatch(
            latents: try .concatenated(samples.map(\.latents), dimension: 0),
            inputs: try .joined(samples.map(\.inputs), controlsOf: others.map(\.inputs)))
    }
}

/// The loss of a batch.
struct TrainingLoss {
    /// Mean of the weighted losses, to be differentiated.
    let weighted: Tensor
    /// Of each sample, [B], outside the graph.
    let perSample: Tensor
    /// [B].
    let logSNR: Tensor

    /// The numbers alone: as long as the graph stands, so does what it keeps.
    func withoutGraph() throws -> TrainingLoss {
        TrainingLoss(weighted: try weighted.detached(), perSample: perSample, logSNR: logSNR)
    }
}
