import AdapterKit
import Cascade
import Diffusion
import Failures
import Generation
import Images
import Optimization
import Torch

/// The image that shows how a run is doing: one column a sample, one labelled row for each thing there is to see.
struct PreviewGrid {
    static let columns = 4
    private let rows: [(label: String, images: [Image])]

    /// - Parameters:
    ///   - samples: a few images of one size with their captions.
    ///   - prompts: stand in for the captions where images are sampled, in turn; none leave them.
    ///   - adapters: are left out once more, for a row beside that with them.
    ///   - showing: makes latents visible, and samples them.
    ///   - draws: of the samples.
    ///   - average: is sampled from too, from the same noise.
    ///   - filter: makes the ControlNet's condition.
    init(
        _ samples: [ValidationSample], prompts: [PreviewPrompt] = [],
        objective: some TrainingObjective, showing: Showing, adapters: [any Adapter] = [], draws: Draws,
        average: AveragedWeights? = nil,
        filter: ((_ images: Tensor, _ masks: Tensor?) throws -> ControlCondition)? = nil
    ) throws {
        let images = samples.map(\.image)
        let pixels = try images.pixels()
        let made = try filter.map { try $0(pixels, images.masks()) }
        let (height, width) = (pixels.size(2), pixels.size(3))
        let batch = try objective.prepare(pixels, captions: samples.map(\.caption), condition: made?.condition)
        rows = try withoutGradients {
            let (latents, device) = (batch.latents, batch.latents.device)
            let draw = try objective.diffusion.draw(latents.sampleShape, device: device, from: draws)
            let noised = try objective.diffusion(latents, draw)
            let prediction = try objective.stage.predict(
                noised.latents, time: noised.noiseCondition, objective.conditions(objective.settled(batch)))
            let estimate = try objective.diffusion.estimate(noised.latents, prediction, noised.scales).x0
            func decoded(_ latents: Tensor) throws -> [Image] {
                try showing.decoder.images(latents, height: height, width: width)
            }
            // Conditions are made anew each time: what is trained may be part of them.
            func sampled() throws -> [Image] {
                guard !prompts.isEmpty else {
                    return try decoded(
                        objective.sample(batch, with: showing.sampler(objective.diffusion), draws: draws.branch(1)))
                }
                return try samples.indices.map { index in
                    let prompt = prompts[index % prompts.count]
                    let own = prompt.seed.map { Draws(seed: $0, stream: RandomStream.preview, places: 0..<1) }
                    let latents = try objective.sample(
                        batch.sample(index), prompt, with: showing.sampler(objective.diffusion),
                        draws: own ?? draws.branch(1)[index..<index + 1])
                    guard let size = prompt.size else { return try decoded(latents)[0] }
                    return try showing.decoder.images(latents, height: size.height, width: size.width)[0]
                        .framed(width: width, height: height)
                }
            }
            var rows = [("image", images.map(\.image))]
            if let made {
                rows.append(("condition", try ImageTensors.images(made.preview, height: height, width: width)))
            } else if let condition = batch.inputs.effnet, let seen = try showing.condition?(condition) {
                rows.append(("condition", try ImageTensors.images(seen, height: height, width: width)))
            }
            rows.append(("latents", try decoded(latents)))
            rows.append(("noised", try decoded(noised.latents)))
            rows.append(("predicted", try decoded(estimate)))
            rows.append(("sampled", try sampled()))
            if !adapters.isEmpty { rows.append(("sampled without", try adapters.withoutStrength(sampled))) }
            if let average { rows.append(("sampled, EMA", try average.withAverage(sampled))) }
            return rows
        }
    }

    /// What previews show: the first validation samples of one size, else the first of the data that the filter takes.
    static func shown(
        _ validation: [ValidationSample], _ parts: RecipeParts, _ filter: ImageFilter?
    ) throws -> [ValidationSample] {
        guard validation.isEmpty else { return RecipeParts.alike(validation, count: columns) }
        let generator = try parts.generator(RandomStream.preview)
        let taken = try ValidationSet.first(parts.shards, parts.preparation).filter { sample in
            do {
                _ = try filter?([sample.image].pixels(), [sample.image].masks(), generator)
                return true
            } catch let failure as Failure where failure.blame == .input {
                return false
            }
        }
        return RecipeParts.alike(taken, count: columns)
    }

    func image() throws -> Image { try Image.grid(rows.map(\.images), labels: rows.map(\.label)) }
}

/// How previews make latents visible.
struct Showing {
    let decoder: LatentDecoder
    var guidance: Double
    var steps: Int
    /// A network's own condition [B, c, h, w] to images [B, 3, H, W]; nil where it has none but a filter's.
    var condition: ((Tensor) throws -> Tensor)?

    /// Of Stage C, as the reference's trainers preview it.
    static func stageC(_ previewer: NetworkOnDemand<Previewer>) -> Showing {
        .init(decoder: LatentDecoder { try previewer()($0) }, guidance: 5, steps: TrainedStage.c.previewSteps)
    }

    /// Of Stage B, as the reference's trainer previews it. Of the EffNet latents, which have mean 0 and variance 1, the
    /// first three channels are shown as colours.
    static func stageB(_ stageA: NetworkOnDemand<StageA>) -> Showing {
        .init(decoder: LatentDecoder { try stageA().decode($0) }, guidance: 1.5, steps: TrainedStage.b.previewSteps) {
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

extension TrainingObjective {
    /// Latents of noise by a prompt with what is its own.
    /// - Parameter batch: one sample, whose captions it replaces.
    fileprivate func sample(
        _ batch: PreparedBatch, _ prompt: PreviewPrompt, with sampler: Sampler, draws: Draws
    ) throws -> Tensor {
        var sampler = sampler
        if let steps = prompt.steps { sampler.steps = steps }
        if let guidance = prompt.guidance { sampler.guidance?.strength = (guidance, guidance) }
        var conditional = try settled(batch)
        var unconditional = conditional
        conditional.inputs.captions = [prompt.prompt]
        unconditional.inputs = conditional.inputs.unconditional
        unconditional.inputs.captions = [prompt.negative]
        let conditions = try GuidedConditions(conditions(conditional), unconditional: conditions(unconditional))
        var shape = batch.latents.sampleShape
        if let sides = prompt.size.map(latentSides) { shape = [shape[0], sides.height, sides.width] }
        let start = try draws.normal(.noise, shape, device: batch.latents.device)
        return try stage.sample(from: start, with: sampler, conditions, draws: draws)
    }
}

extension [any Adapter] {
    /// What `body` makes while none of them counts.
    fileprivate func withoutStrength<Result>(_ body: () throws -> Result) rethrows -> Result {
        let strengths = map(\.strength)
        for adapter in self { adapter.strength = 0 }
        defer { for (adapter, strength) in zip(self, strengths) { adapter.strength = strength } }
        return try body()
    }
}

extension Image {
    /// The whole of the image in a frame of a size, black beside it.
    fileprivate func framed(width frameWidth: Int, height frameHeight: Int) -> Image {
        let scale = Swift.min(Double(frameWidth) / Double(width), Double(frameHeight) / Double(height))
        func side(_ length: Int, _ most: Int) -> Int {
            Swift.min(most, Swift.max(1, Int((Double(length) * scale).rounded())))
        }
        let sized = resized(width: side(width, frameWidth), height: side(height, frameHeight))
        var frame = Image(width: frameWidth, height: frameHeight, colour: (0, 0, 0))
        frame.paste(sized, x: (frameWidth - sized.width) / 2, y: (frameHeight - sized.height) / 2)
        return frame
    }
}
