import AdapterKit
import Cascade
import Diffusion
import Generation
import Loading
import Torch

/// What one micro batch of Stage C costs, as the reference's trainers compute it.
struct StageCObjective {
    let model: AdaptedModel
    let encodings: PictureEncodings
    let text: TextConditions
    let diffusion: Diffusion
    /// Chance that a caption is replaced by the empty one.
    static let captionDrop = 0.05
    /// Chance that Stage C sees the picture's own embedding instead of zeros.
    static let pictureKeep = 0.1

    /// A batch in the form the network sees it.
    struct Prepared {
        /// [B, c_in, h, w], float32.
        let latents: Tensor
        let captions: [String]
        /// The ControlNet's condition, [B, c, H, W].
        let condition: Tensor?
        /// Embeddings of the pictures, [B, 1, c_clip_img]; nil where they all are zeros.
        var clipImage: Tensor?
    }

    /// The loss of a batch.
    struct Loss {
        /// Mean of the weighted losses, to be differentiated.
        let weighted: Tensor
        /// Of each sample, [B], outside the graph.
        let perSample: Tensor
        /// [B].
        let logSNR: Tensor
    }

    /// Pictures [B, 3, H, W] in 0...1 as latents; nothing of this wants gradients.
    func prepare(_ pictures: Tensor, captions: [String], condition: Tensor? = nil) throws -> Prepared {
        Prepared(
            latents: try encodings.latents(pictures), captions: captions,
            condition: try condition?.to(device: encodings.device))
    }

    /// Replaces captions by the empty one at random.
    func dropping(_ captions: [String], _ generator: Generator) throws -> [String] {
        let draws = try generator.uniform([captions.count]).values(as: Double.self)
        return zip(captions, draws).map { $1 > Self.captionDrop ? $0 : "" }
    }

    /// Which of some pictures keep their embedding, at random.
    static func kept(of count: Int, _ generator: Generator) throws -> [Bool] {
        try generator.uniform([count]).values(as: Double.self).map { $0 > 1 - pictureKeep }
    }

    /// The loss of a micro batch, all its random numbers from the generator but for those of its conditions.
    func loss(of batch: PictureBatch, _ generator: Generator) throws -> Loss {
        let pictures = batch.pictures.isEmpty ? nil : try TensorPictures.tensor(batch.pictures)
        let captions = try dropping(batch.captions, generator)
        let encoded = try encodings(batch, pictures)
        let draw = try diffusion.draw(encoded.latents.shape, device: encodings.device, from: generator)
        // Drawn last, so that a run without a picture tower has the same numbers.
        let isKept = encodings.tower == nil ? [] : try Self.kept(of: captions.count, generator)
        let prepared = Prepared(
            latents: encoded.latents, captions: captions,
            condition: try batch.condition()?.to(device: encodings.device),
            clipImage: isKept.contains(true) ? try encodings.embeddings(encoded, where: isKept) : nil)
        return try loss(prepared, draw)
    }

    /// The loss of a batch whose random numbers are drawn already.
    /// - Parameter injections: what the ControlNet makes of the condition, where that is known already.
    func loss(_ batch: Prepared, _ draw: Diffusion.Draw, injections: [Int: Tensor]? = nil) throws -> Loss {
        let noised = try diffusion(batch.latents, draw)
        var conditions = try conditions(batch)
        if let injections { conditions.injections = injections }
        let stageC = model.stageC
        let prediction = try stageC(
            noised.latents.to(dtype: stageC.computeDType), time: noised.noiseCondition, conditions)
        let perSample = try (prediction.to(dtype: .float32) - noised.target).squared().mean([1, 2, 3])  // [B]
        return Loss(
            weighted: try (perSample * noised.lossWeight).mean(), perSample: try perSample.detached(),
            logSNR: noised.logSNR)
    }

    /// What the network is conditioned on for a batch.
    func conditions(_ batch: Prepared) throws -> StageC.Conditions {
        let encoded = try text(batch.captions)
        let stageC = model.stageC
        let clipImage =
            try batch.clipImage
            ?? .zeros([batch.captions.count, 1, stageC.configuration.clipImageWidth], device: stageC.store.device)
        let dtype = stageC.computeDType
        var conditions = StageC.Conditions(
            clipText: try encoded.tokens.to(dtype: dtype), clipTextPooled: try encoded.pooled.to(dtype: dtype),
            clipImage: try clipImage.to(dtype: dtype))
        conditions.injections = try injections(of: batch.condition)
        return conditions
    }

    /// What the ControlNet in use makes of a condition; nothing where there is none.
    func injections(of condition: Tensor?) throws -> [Int: Tensor] {
        guard let controlNet = model.controlNet, let condition else { return [:] }
        return try controlNet(condition)
    }
}
