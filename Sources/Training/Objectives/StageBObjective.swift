import Cascade
import Diffusion
import Generation
import Loading
import Torch

/// What one micro batch of Stage B costs, as the reference's `train/train_b.py` computes it: noise in Stage A's latents
/// is predicted from the EffNet latents of the picture, made smaller at random or left out, and the pooled text.
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

    /// They are made smaller anew in every update.
    var needsPictures: Bool { true }

    private var device: Device { encodings.device }

    /// The loss of a micro batch, all its random numbers from the generator.
    func loss(of batch: PictureBatch, _ generator: Generator) throws -> TrainingLoss {
        let pictures = try TensorPictures.tensor(batch.pictures)
        let captions = try chances.dropping(batch.captions, generator)
        let range = chances.effnetScale
        let scale = try range.lowerBound + (range.upperBound - range.lowerBound) * generator.uniform()
        let isKept = try ConditionChances.kept(captions.count, dropout: chances.effnetDropout, generator)
        let encoded = try encodings(batch, pictures)
        let draw = try diffusion.draw(encoded.latents.shape, device: device, from: generator)
        var prepared = PreparedBatch(
            latents: encoded.latents, captions: captions,
            condition: try condition(of: pictures, scale: scale, where: isKept))
        prepared.dropout = try dropout.draw(generator)
        return try loss(prepared, draw)
    }

    func prepare(_ pictures: Tensor, captions: [String], condition: Tensor?) throws -> PreparedBatch {
        PreparedBatch(
            latents: try encodings.latents(pictures), captions: captions,
            condition: try self.condition(of: pictures, scale: 1, where: captions.map { _ in true }))
    }

    /// EffNet latents [B, 16, h, w] of pictures [B, 3, H, W], zeros but for some.
    /// - Parameter scale: of the pictures' sides before they are encoded, which then are multiples of the stride.
    func condition(of pictures: Tensor, scale: Double, where isKept: [Bool]) throws -> Tensor {
        let stride = effnet.configuration.stride
        func side(_ pixels: Int) -> Int { max(1, Int(Double(pixels) * scale / Double(stride))) }
        let (height, width) = (side(pictures.size(2)), side(pictures.size(3)))
        let zeros = try Tensor.zeros([1, stageB.configuration.effnetChannels, height, width], device: device)
        let rows = isKept.indices.filter { isKept[$0] }
        guard !rows.isEmpty else { return try zeros.repeated([isKept.count, 1, 1, 1]) }
        return try withoutGradients {
            let seen = try Tensor.concatenated(rows.map { try pictures.sliced(0, $0..<$0 + 1) }, dimension: 0)
                .to(device: device).resizedToNearest(height: stride * height, width: stride * width)
            let latents = try effnet.encode(EffNetEncoder.normalised(seen)).to(dtype: .float32)
            var next = 0
            return try .concatenated(
                isKept.map { isKept in
                    guard isKept else { return zeros }
                    next += 1
                    return try latents.sliced(0, next - 1..<next)
                }, dimension: 0)
        }
    }

    func unconditioned(_ batch: PreparedBatch) throws -> PreparedBatch {
        var free = batch
        free.captions = batch.captions.map { _ in "" }
        free.condition = try batch.condition.map { try .zeros($0.shape, device: device) }
        return free
    }

    func conditions(_ batch: PreparedBatch) throws -> StageB.Conditions {
        let pooled = try text(batch.captions).pooled.to(dtype: .float32)
        let nothing = [batch.captions.count, stageB.configuration.effnetChannels, 1, 1]
        var conditions = StageB.Conditions(
            effnet: try batch.condition ?? .zeros(nothing, device: device), clip: pooled)
        conditions.dropout = batch.dropout
        return conditions
    }

    func predict(_ latents: Tensor, time: Tensor, _ conditions: StageB.Conditions) throws -> Tensor {
        try stageB(latents, time: time, conditions)
    }
}
