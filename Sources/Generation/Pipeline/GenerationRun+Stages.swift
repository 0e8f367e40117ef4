import Images
import AdapterKit
import Cascade
import Diffusion
import Torch

/// Stage C with the adapters that change it.
struct AdaptedStageC {
    let stageC: StageC
    /// By the pipeline's adapters.
    let adapters: [[any Adapter]]

    /// Lets adapters count with their strengths.
    func set(_ strengths: [Double]) throws {
        for (adapters, strength) in zip(adapters, strengths) {
            for adapter in adapters {
                adapter.strength = strength
                // One that does not count is away: it would cost its products.
                if strength != 0 { try adapter.attach() } else { adapter.detach() }
            }
        }
    }
}

extension GenerationPipeline {
    func adaptedStageC() throws -> AdaptedStageC {
        let stageC = try loading.stageC()
        let networks = AdaptedNetworks(stageC)
        let adapters = try configuration.adapters.map { use in
            let file = try plugIns.open(use.file, use.reading(for: stageC.configuration))
            return try plugIns.kinds(of: file).compactMap { try $0.read(file, for: networks) }
        }
        return AdaptedStageC(stageC: stageC, adapters: adapters)
    }
}

extension GenerationRun {
    // MARK: Stage C

    func sampleStageC(_ part: [Int]) throws {
        try pipeline.networks.with("Stage C", { try pipeline.adaptedStageC() }) { adapted in
            for batch in batches(of: part) {
                let made = try timed(batch) { try sampleStageC(batch, adapted) }
                for (position, index) in batch.enumerated() {
                    latents[index] = try made.sliced(0, position..<position + 1).cloned()
                }
            }
        }
    }

    private func sampleStageC(_ batch: [Int], _ adapted: AdaptedStageC) throws -> Tensor {
        let (request, stageC) = (requests[batch[0]], adapted.stageC)
        let c = stageC.configuration
        let (height, width) = request.size.latents(of: c)
        let steps = request.stageCSteps
        var sampler = Sampler(
            request.stageC, request.sampler, steps: steps, target: ModelFiles.target(of: loading.files.stageC))
        let drawn = try start(batch, .stageC, [c.inputs, height, width]) { $0.noise.stageC }
        var begin = drawn
        let known = batch.compactMap { starts[$0] }
        let clean = known.isEmpty ? nil : try Tensor.concatenated(known.map(\.latents), dimension: 0)
        let masks = known.compactMap(\.mask)
        let mask = masks.isEmpty ? nil : try Tensor.concatenated(masks, dimension: 0)
        if let clean, let level = request.start?.denoise {
            // The reference lays noise over the image without the shift that it samples with.
            let time = try Tensor.full([batch.count], level, device: device)
            begin = try sampler.process(clean, .init(epsilon: drawn, level: .time(time))).latents
            sampler.times.start = level
        }

        let denoiser = StageCDenoiser(
            AdaptedModel(stageC: stageC, text: nil, base: BaseModel(name: "", sha256: "")))
        var guided = try GuidedConditions(
            conditions(batch, denoiser, isConditional: true) { $0.prompt },
            unconditional: conditions(batch, denoiser, isConditional: false) { $0.negative })
        let sets = try injections(batch)
        let controls = request.controlStrengths ?? configuration.controlNets.map(\.strength)
        let (strengths, windows) = (strengths(batch[0]), configuration.adapters.map(\.window))
        var counting: [Double]?

        var walk = Sampler.Walk { [draws = draws(batch), device] step in
            try draws.fresh(.stageC, step: step, [c.inputs, height, width], device: device)
        }
        walk.begin = { [self] step in
            if step > 0 { try advance(batch, "Stage C") } else { try checkStopped() }
            let now = zip(strengths, windows).map { $1.holds(step, of: steps) ? $0 : 0 }
            if now != counting {
                try adapted.set(now)
                guided.forget()
                counting = now
            }
            let active: [[Int: Tensor]] = try zip(sets, zip(configuration.controlNets, controls)).compactMap {
                set, use in
                guard use.0.window.holds(step, of: steps), use.1 != 0 else { return nil }
                return try set.mapValues { try $0 * use.1 }
            }
            (guided.conditional.furtherInjections, guided.unconditional.furtherInjections) = (active, active)
        }
        if let clean, let mask {
            walk.settle = { latents, scales in
                let kept = try clean * scales.signal + drawn * scales.noise
                return try (0.5 - mask).isBelow(0).choose(latents, kept)
            }
        }
        let made = try sampler(from: begin, walk) { latents, time, isGuided in
            try denoiser.predict(latents, time: time, guided, isGuided: isGuided)
        }
        try advance(batch, "Stage C")
        try checkFinite(made, "Stage C")
        return made
    }

    private func conditions(
        _ batch: [Int], _ denoiser: StageCDenoiser, isConditional: Bool, prompt: (ImageRequest) -> String
    ) throws -> StageC.Conditions {
        var inputs = ConditionInputs(captions: batch.map { prompt(requests[$0]) })
        if isConditional, batch.contains(where: { embeddings[$0] != nil }) {
            let width = denoiser.model.stageC.configuration.clipImageWidth
            inputs.imageEmbeddings = try .concatenated(
                batch.map { try embeddings[$0] ?? .zeros([1, 1, width], device: device) }, dimension: 0)
        }
        return try denoiser.conditions(inputs, text: encoded(batch, prompt))
    }

    /// The texts of a batch as one.
    func encoded(_ batch: [Int], _ prompt: (ImageRequest) -> String) throws -> TextEncoder.Encoded {
        let rows = try batch.map { try text(prompt(requests[$0]), $0) }
        return TextEncoder.Encoded(
            tokens: try .concatenated(rows.map(\.tokens), dimension: 0),
            pooled: try .concatenated(rows.map(\.pooled), dimension: 0))
    }

    /// What each ControlNet adds for a batch, by residual block.
    private func injections(_ batch: [Int]) throws -> [[Int: Tensor]] {
        let rows = batch.compactMap { injections[$0] }
        guard let first = rows.first else { return [] }
        if rows.count == 1 { return first }
        return try first.indices.map { control in
            try first[control].keys.reduce(into: [:]) { set, block in
                set[block] = try .concatenated(rows.compactMap { $0[control][block] }, dimension: 0)
            }
        }
    }

    // MARK: From latents to images

    func decodeByPreviewer(_ part: [Int], each: (GeneratedImage) throws -> Void) throws {
        try pipeline.networks.with("previewer", { try loading.previewer() }) { previewer in
            for index in part {
                guard let stageC = latents[index] else { continue }
                let began = hooks.now()
                let size = requests[index].size
                let pixels = try previewer(stageC)
                    .resized(height: size.height, width: size.width, alignCorners: false)
                let seconds = (seconds[index] ?? 0) + hooks.now() - began
                try each(.init(index: index, stageC: stageC, stageB: nil, pixels: pixels, seconds: seconds))
            }
        }
    }

    func decodeByStages(_ part: [Int], each: (GeneratedImage) throws -> Void) throws {
        // Stage A is small, and beside Stage B it shows each image as soon as it is there.
        try pipeline.networks.with("Stages B and A", { try loading.stagesBAndA() }) { stages in
            for batch in batches(of: part) {
                let made = try timed(batch) { try sampleStageB(batch, stages.0) }
                // Or what Stage B took would lie beside what Stage A takes.
                Engine.releaseMemory()
                for (position, index) in batch.enumerated() {
                    guard let stageC = latents[index] else { continue }
                    let began = hooks.now()
                    let stageB = try made.sliced(0, position..<position + 1).cloned()
                    let size = requests[index].size
                    let pixels = try stages.1.decode(stageB).cut(to: size)
                    let seconds = (seconds[index] ?? 0) + hooks.now() - began
                    try each(.init(index: index, stageC: stageC, stageB: stageB, pixels: pixels, seconds: seconds))
                }
            }
        }
    }

    private func sampleStageB(_ batch: [Int], _ denoiser: StageBDenoiser) throws -> Tensor {
        var inputs = ConditionInputs(captions: batch.map { requests[$0].prompt })
        inputs.effnet = try .concatenated(batch.compactMap { latents[$0] }, dimension: 0)
        let request = requests[batch[0]]
        let made = try denoiser.sample(
            inputs, (encoded(batch) { $0.prompt }, encoded(batch) { $0.negative }), request.size,
            Sampler(
                request.stageB, request.sampler, steps: request.stageB.steps,
                target: ModelFiles.target(of: loading.files.stageB)),
            from: { try start(batch, .stageB, $0) { $0.noise.stageB } },
            fresh: { try draws(batch).fresh(.stageB, step: $0, $1, device: device) }
        ) { try advance(batch, "Stage B") }
        try checkFinite(made, "Stage B")
        return made
    }
}

extension StageBDenoiser {
    /// Samples Stage B's latents for images of a size.
    /// - Parameters:
    ///   - inputs: with what Stage C or the EffNet encoder made.
    ///   - texts: conditional and not.
    ///   - start: what sampling begins with, in a shape without the batch.
    ///   - fresh: the noise of a step, likewise.
    ///   - done: called after each step.
    func sample(
        _ inputs: ConditionInputs, _ texts: (TextEncoder.Encoded, TextEncoder.Encoded), _ size: ImageSize,
        _ sampler: Sampler, from start: ([Int]) throws -> Tensor, fresh: (Int, [Int]) throws -> Tensor,
        done: () throws -> Void
    ) throws -> Tensor {
        let c = stageB.configuration
        let (height, width) = size.stageBLatents(patch: c.patchSize)
        let shape = [c.inputs, height, width]
        let guided = try GuidedConditions(
            conditions(inputs, text: texts.0), unconditional: conditions(inputs.unconditional, text: texts.1))
        return try withoutActuallyEscaping(fresh) { fresh in
            try withoutActuallyEscaping(done) { done in
                var walk = Sampler.Walk { try fresh($0, shape) }
                walk.begin = { step in if step > 0 { try done() } }
                let made = try sampler(from: start(shape), walk) { latents, time, isGuided in
                    try predict(latents, time: time, guided, isGuided: isGuided)
                }
                try done()
                return made
            }
        }
    }
}

extension Sampler {
    /// As the reference samples with published weights.
    init(_ sampling: StageSampling, _ name: SamplerName, steps: Int, target: Target) {
        var guidance = Guidance(strength: sampling.guidance)
        guidance.isPerSample = true
        var process = Diffusion()
        process.target = target
        self.init(process, guidance: guidance)
        self.steps = steps
        shift = sampling.shift
        step = name.step
    }
}

extension GeneratedImage {
    init(index: Int, stageC: Tensor, stageB: Tensor?, pixels: Tensor, seconds: Double) throws {
        let image = try ImageTensors.images(pixels)[0]
        self.init(
            index: index, image: image, stageC: try stageC.to(device: .cpu), stageB: try stageB?.to(device: .cpu),
            pixels: try pixels.to(device: .cpu), seconds: seconds)
    }
}

extension Tensor {
    /// The upper left of [B, 3, H, W], of a size.
    func cut(to size: ImageSize) throws -> Tensor {
        try sliced(2, 0..<size.height).sliced(3, 0..<size.width).contiguous()
    }
}
