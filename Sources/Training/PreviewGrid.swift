import Cascade
import Diffusion
import Generation
import Images
import Torch

/// The picture that shows how a run is doing: one column a sample, one row for each thing there is to see.
struct PreviewGrid {
    private let rows: [[Picture]]

    /// - Parameters:
    ///   - samples: a few held-out pictures of one size with their captions.
    ///   - filter: makes the ControlNet's condition.
    init(
        _ samples: [(picture: Picture, caption: String)], objective: StageCObjective, previewer: Previewer,
        generator: Generator, filter: PictureFilter? = nil
    ) throws {
        let pixels = try TensorPictures.tensor(samples.map(\.picture))
        let made = try filter.map { try $0(pixels, generator) }
        let (height, width) = (pixels.size(2), pixels.size(3))
        let captions = samples.map(\.caption)
        let batch = try objective.prepare(pixels, captions: captions, condition: made?.condition)
        let model = objective.model
        let device = model.stageC.store.device
        rows = try withoutGradients {
            let draw = try objective.diffusion.draw(batch.latents.shape, device: device, from: generator)
            let noised = try objective.diffusion(batch.latents, draw)
            let dtype = model.stageC.computeDType
            let conditioned = try objective.conditions(batch)
            let free = try objective.conditions(
                .init(latents: batch.latents, captions: captions.map { _ in "" }, condition: batch.condition))
            func predict(_ x: Tensor, _ time: Tensor, _ isConditioned: Bool) throws -> Tensor {
                try model.stageC(x.to(dtype: dtype), time: time, isConditioned ? conditioned : free)
            }
            let prediction = try predict(noised.latents, noised.noiseCondition, true).to(dtype: .float32)
            let estimate = try objective.diffusion.estimate(noised.latents, prediction, noised.scales).x0
            var process = objective.diffusion
            if !process.schedule.takesTimes { process.schedule = Schedule() }
            let sampled = try Sampler(process)(
                batch.latents.shape, device: device, generator: generator, predict: predict)
            func decoded(_ latents: Tensor) throws -> [Picture] {
                try TensorPictures.pictures(previewer(latents), height: height, width: width)
            }
            var rows = [samples.map(\.picture)]
            if let made { rows.append(try TensorPictures.pictures(made.preview, height: height, width: width)) }
            rows += [
                try decoded(batch.latents), try decoded(noised.latents), try decoded(estimate), try decoded(sampled),
            ]
            return rows
        }
    }

    func picture() throws -> Picture { try Picture.grid(rows) }
}
