import AdapterKit
import Cascade
import Diffusion
import Failures
import Torch

/// What a ControlNet's conditions are known by: which one, and the shape that its image was cut to.
struct InjectionKey: Hashable {
    let control: Int
    let width: Int
    let height: Int
}

/// One round of a pipeline over some requests: what each stage made so far.
final class GenerationRun {
    let pipeline: GenerationPipeline
    let requests: [ImageRequest]
    let hooks: GenerationHooks
    /// By prompt and strengths of the adapters.
    var texts: [TextKey: TextEncoder.Encoded] = [:]
    /// CLIP's embeddings, [1, 1, c], by request.
    var embeddings: [Int: Tensor] = [:]
    /// EffNet latents of the images to start from, and where their masks change them, [1, c, h, w], by request.
    var starts: [Int: (latents: Tensor, mask: Tensor?)] = [:]
    /// What ControlNets made, by request: of each its injections.
    var injections: [Int: [[Int: Tensor]]] = [:]
    /// [1, 16, h, w], by request.
    var latents: [Int: Tensor] = [:]
    /// Seconds that a request took so far.
    var seconds: [Int: Double] = [:]
    private var done = 0
    let total: Int

    struct TextKey: Hashable {
        let text: String
        let strengths: [Double]
    }

    init(_ pipeline: GenerationPipeline, _ requests: [ImageRequest], _ hooks: GenerationHooks) {
        (self.pipeline, self.requests, self.hooks) = (pipeline, requests, hooks)
        let decodes = pipeline.configuration.decoder == .stages
        total = requests.reduce(0) { $0 + $1.stageCSteps + (decodes ? $1.stageB.steps : 0) }
    }

    var configuration: GenerationPipeline.Configuration { pipeline.configuration }
    var loading: ModelLoading { pipeline.loading }
    var device: Device { configuration.models.device }

    /// Requests that go through a stage at once.
    func batches(of part: [Int]) -> [[Int]] {
        var batches: [[Int]] = []
        for index in part {
            if let last = batches.last, last.count < configuration.batch,
                requests[last[0]].goes(with: requests[index])
            {
                batches[batches.count - 1].append(index)
            } else {
                batches.append([index])
            }
        }
        return batches
    }

    /// Makes the images of some requests.
    func make(_ part: [Int], each: (GeneratedImage) throws -> Void) throws {
        let began = hooks.now()
        try encodeTexts(part)
        try embedVariations(part)
        try encodeStarts(part)
        try makeInjections(part)
        let share = (hooks.now() - began) / Double(part.count)
        for index in part { seconds[index] = share }
        try sampleStageC(part)
        (injections, starts, embeddings) = ([:], [:], [:])
        switch configuration.decoder {
        case .stages: try decodeByStages(part, each: each)
        case .previewer: try decodeByPreviewer(part, each: each)
        }
        for index in part { latents[index] = nil }
    }

    // MARK: Steps

    /// Asks whether to go on.
    func checkStopped() throws { if hooks.isStopped() { throw GenerationStopped() } }

    /// Counts a step of a batch.
    func advance(_ batch: [Int], _ stage: String) throws {
        done += batch.count
        hooks.progress(done, total, stage)
        try checkStopped()
    }

    /// Does what a batch needs and counts its time.
    func timed<Result>(_ batch: [Int], _ body: () throws -> Result) throws -> Result {
        let began = hooks.now()
        let result = try body()
        let share = (hooks.now() - began) / Double(batch.count)
        for index in batch { seconds[index, default: 0] += share }
        return result
    }

    /// What is drawn for the images of a batch.
    func draws(_ batch: [Int]) -> ImageDraws { ImageDraws(seeds: batch.map { requests[$0].seed }) }

    /// Noise that was given for some of a batch, or drawn.
    /// - Throws: a failure of the input where it has another shape.
    func start(
        _ batch: [Int], _ purpose: ImageDraws.Purpose, _ shape: [Int], given: (ImageRequest) -> Tensor?
    ) throws -> Tensor {
        try Tensor.concatenated(
            batch.map { index in
                guard let noise = given(requests[index]) else {
                    return try draws([index]).start(purpose, shape, device: device)
                }
                guard noise.shape == [1] + shape else {
                    throw Failure.input(
                        "the noise that is given has another shape than the latents",
                        expected: "\([1] + shape) for each image", got: "\(noise.shape)")
                }
                return try noise.to(dtype: .float32).to(device: device)
            }, dimension: 0)
    }

    /// - Throws: a failure of the run where a stage made what is no number.
    func checkFinite(_ latents: Tensor, _ stage: String) throws {
        guard try latents.absoluteSum().item().isFinite else {
            throw Failure.run(
                "\(stage) made numbers that are not finite", advice: "do its weights fit? --dtype float32 may help")
        }
    }
}
