import Cascade
import Diffusion
import Torch

/// What one micro batch costs, for the network that a recipe trains or adapts.
///
/// Batches of the loader, held-out samples and previews all go through the same few steps: pictures become a prepared
/// batch, a prepared batch becomes the network's conditions, and the network predicts.
protocol TrainingObjective {
    /// What the network is conditioned on.
    associatedtype Conditions

    var encodings: PictureEncodings { get }
    var text: TextConditions { get }
    var diffusion: Diffusion { get }
    var lossFunction: LossFunction { get }
    /// Whether an update needs the pictures themselves, also those whose encodings are known.
    var needsPictures: Bool { get }

    /// Pictures [B, 3, H, W] in 0...1 as the network sees them without any chance; nothing of this wants gradients.
    /// - Parameter condition: the ControlNet's, [B, c, h, w].
    func prepare(_ pictures: Tensor, captions: [String], condition: Tensor?) throws -> PreparedBatch

    /// The same batch with what is made of its condition, for one that is used again and again.
    func settled(_ batch: PreparedBatch) throws -> PreparedBatch

    /// The same batch with what guidance leads away from: no caption, and no picture but the ControlNet's.
    func unconditioned(_ batch: PreparedBatch) throws -> PreparedBatch

    func conditions(_ batch: PreparedBatch) throws -> Conditions

    /// - Parameters:
    ///   - latents: [B, c, h, w], float32.
    ///   - time: [B].
    /// - Returns: [B, c, h, w], float32.
    func predict(_ latents: Tensor, time: Tensor, _ conditions: Conditions) throws -> Tensor
}

extension TrainingObjective {
    var needsPictures: Bool { false }

    /// The loss of a batch whose random numbers are drawn already.
    func loss(_ batch: PreparedBatch, _ draw: Diffusion.Draw) throws -> TrainingLoss {
        let noised = try diffusion(batch.latents, draw)
        let prediction = try predict(noised.latents, time: noised.noiseCondition, conditions(batch))
        let perSample = try lossFunction(prediction, noised.target)  // [B]
        return TrainingLoss(
            weighted: try (perSample * noised.lossWeight).mean(), perSample: try perSample.detached(),
            logSNR: noised.logSNR)
    }

    func settled(_ batch: PreparedBatch) throws -> PreparedBatch { batch }
}

/// A batch in the form the network sees it.
struct PreparedBatch {
    /// What is noised and predicted, [B, c, h, w], float32.
    let latents: Tensor
    var captions: [String]
    /// What a ControlNet makes its injections of, or the EffNet latents that Stage B sees, [B, c, H, W].
    var condition: Tensor?
    /// Embeddings of the pictures, [B, 1, c_clip_img]; nil where they all are zeros.
    var clipImage: Tensor?
    /// What the ControlNet makes of the condition, where that is known already.
    var injections: [Int: Tensor]?
    /// What the network drops while it is trained on the batch; nil drops nothing.
    var dropout: DropoutPass?
    /// Of what the adapters drop while they are trained on the batch; nil drops nothing.
    var adapterSeed: UInt64?

    /// Some samples as one batch.
    /// - Parameter others: samples whose conditions take the place of their own.
    static func joined(_ samples: [PreparedBatch], conditionsOf others: [PreparedBatch]) throws -> PreparedBatch {
        func joined(_ tensors: [Tensor?]) throws -> Tensor? {
            let known = tensors.compactMap(\.self)
            return known.isEmpty ? nil : try .concatenated(known, dimension: 0)
        }
        let blocks = others.first?.injections?.keys.map(\.self)
        return PreparedBatch(
            latents: try .concatenated(samples.map(\.latents), dimension: 0), captions: samples.flatMap(\.captions),
            condition: try joined(others.map(\.condition)), clipImage: try joined(samples.map(\.clipImage)),
            injections: try blocks?.reduce(into: [:]) { injections, block in
                injections[block] = try joined(others.map { $0.injections?[block] })
            })
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
}
