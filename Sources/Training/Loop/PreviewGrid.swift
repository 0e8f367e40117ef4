import AdapterKit
import Cascade
import Diffusion
import Failures
import Generation
import Images
import Optimization
import Torch

/// The picture that shows how a run is doing: one column a sample, one labelled row for each thing there is to see.
struct PreviewGrid {
    static let columns = 4
    private let rows: [(label: String, pictures: [Picture])]

    /// - Parameters:
    ///   - samples: a few pictures of one size with their captions.
    ///   - prompts: stand in for the captions where pictures are sampled, in turn; none leave them.
    ///   - showing: makes latents visible, and samples them.
    ///   - draws: of the samples.
    ///   - average: is sampled from too, from the same noise.
    ///   - filter: makes the ControlNet's condition.
    init(
        _ samples: [(picture: Picture, caption: String)], prompts: [String] = [],
        objective: some TrainingObjective, showing: Showing, draws: Draws,
        average: AveragedWeights? = nil, filter: ((_ images: Tensor) throws -> ControlCondition)? = nil
    ) throws {
        let pixels = try ImageTensors.tensor(samples.map(\.picture))
        let made = try filter.map { try $0(pixels) }
        let (height, width) = (pixels.size(2), pixels.size(3))
        let batch = try objective.prepare(pixels, captions: samples.map(\.caption), condition: made?.condition)
        rows = try withoutGradients {
            let (latents, device) = (batch.latents, batch.latents.device)
            let draw = try objective.diffusion.draw(latents.sampleShape, device: device, from: draws)
            let noised = try objective.diffusion(latents, draw)
            let prediction = try objective.stage.predict(
                noised.latents, time: noised.noiseCondition, objective.conditions(objective.settled(batch)))
            let estimate = try objective.diffusion.estimate(noised.latents, prediction, noised.scales).x0
            var prompted = batch
            if !prompts.isEmpty {
                prompted.inputs.captions = samples.indices.map { prompts[$0 % prompts.count] }
            }
            // Conditions are made anew each time: what is trained may be part of them.
            func sampled() throws -> Tensor {
                try objective.sample(
                    prompted, with: showing.sampler(objective.diffusion), draws: draws.branch(1))
            }
            func decoded(_ latents: Tensor) throws -> [Picture] {
                try showing.decoder.images(latents, height: height, width: width)
            }
            var rows = [("picture", samples.map(\.picture))]
            if let made {
                rows.append(("condition", try ImageTensors.images(made.preview, height: height, width: width)))
            } else if let condition = batch.inputs.effnet, let seen = try showing.condition?(condition) {
                rows.append(("condition", try ImageTensors.images(seen, height: height, width: width)))
            }
            rows.append(("latents", try decoded(latents)))
            rows.append(("noised", try decoded(noised.latents)))
            rows.append(("predicted", try decoded(estimate)))
            rows.append(("sampled", try decoded(sampled())))
            if let average { rows.append(("sampled, EMA", try decoded(average.withAverage(sampled)))) }
            return rows
        }
    }

    /// What previews show: the first validation samples of one size, else the first of the data that the filter takes.
    static func shown(
        _ validation: [(picture: Picture, caption: String)], _ parts: RecipeParts, _ filter: ImageFilter?
    ) throws -> [(picture: Picture, caption: String)] {
        guard validation.isEmpty else { return RecipeParts.alike(validation, count: columns) }
        let generator = try parts.generator(RandomStream.preview)
        let taken = try ValidationSet.first(parts.shards, parts.preparation).filter { sample in
            do {
                _ = try filter?(ImageTensors.tensor([sample.picture]), generator)
                return true
            } catch let failure as Failure where failure.blame == .input {
                return false
            }
        }
        return RecipeParts.alike(taken, count: columns)
    }

    func picture() throws -> Picture { try Picture.grid(rows.map(\.pictures), labels: rows.map(\.label)) }
}

/// How previews make latents visible.
struct Showing {
    let decoder: LatentDecoder
    var guidance: Double
    var steps: Int
    /// A network's own condition [B, c, h, w] to pictures [B, 3, H, W]; nil where it has none but a filter's.
    var condition: ((Tensor) throws -> Tensor)?

    /// Of Stage C, as the reference's trainers preview it.
    static func stageC(_ previewer: Previewer) -> Showing {
        .init(decoder: LatentDecoder(previewer), guidance: 5, steps: TrainedStage.c.previewSteps)
    }

    /// Of Stage B, as the reference's trainer previews it. Of the EffNet latents, which have mean 0 and variance 1, the
    /// first three channels are shown as colours.
    static func stageB(_ stageA: StageA) -> Showing {
        .init(decoder: LatentDecoder(stageA), guidance: 1.5, steps: TrainedStage.b.previewSteps) {
            try $0.sliced(1, 0..<3) * (1 / 6) + 0.5
        }
    }

    /// Samples what a process trains; where its schedule only draws, with the cosine schedule.
    func sampler(_ process: Diffusion) -> Sampler {
        var process = process
        if !process.schedule.takesTimes { process.schedule = Schedule() }
        var sampler = Sampler(process, guidance: Guidance(strength: guidance))
        sampler.steps = steps
        return sampler
    }
}
