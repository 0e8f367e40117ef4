import AdapterKit
import Cascade
import Failures
import Images
import Torch

/// What stages are conditioned on, each by a network that is gone afterwards.
extension GenerationRun {
    func strengths(_ index: Int) -> [Double] {
        requests[index].adapterStrengths ?? configuration.adapters.map(\.strength)
    }

    func text(_ prompt: String, _ index: Int) throws -> TextEncoder.Encoded {
        guard let known = texts[TextKey(text: prompt, strengths: strengths(index))] else {
            throw Failure.run("a prompt was not encoded")
        }
        return known
    }

    // MARK: Texts

    func encodeTexts(_ part: [Int]) throws {
        var wanted: [TextKey] = []
        for index in part {
            for text in [requests[index].prompt, requests[index].negative] {
                let key = TextKey(text: text, strengths: strengths(index))
                if texts[key] == nil, !wanted.contains(key) { wanted.append(key) }
            }
        }
        guard !wanted.isEmpty else { return }
        try pipeline.networks.with("text", { try pipeline.adaptedText() }) { adapted in
            for key in wanted {
                try checkStopped()
                if let cut = adapted.encoder.tokenizer.cut(key.text) {
                    hooks.note("a prompt is longer than 75 tokens; this is cut: \(cut)")
                }
                adapted.set(key.strengths)
                texts[key] = try adapted.encoder([key.text])
            }
        }
    }

    // MARK: Images

    func embedVariations(_ part: [Int]) throws {
        let wanted = part.filter { requests[$0].variation != nil }
        guard !wanted.isEmpty else { return }
        try pipeline.networks.with("image encoder", { try pipeline.requiredImageEncoder() }) { encoder in
            for index in wanted {
                guard let image = requests[index].variation else { continue }
                let short = try FittedImages.shortSide(
                    for: requests[index].size, of: loading.files.stageCArchitecture())
                let seen = try FittedImages.tensor(FittedImages.shortened(image, to: short)).to(device: device)
                embeddings[index] = try encoder(seen).to(dtype: .float32)
            }
        }
    }

    func encodeStarts(_ part: [Int]) throws {
        let wanted = part.filter { requests[$0].start != nil }
        guard !wanted.isEmpty else { return }
        let stageC = try loading.files.stageCArchitecture()
        try pipeline.networks.with("EffNet", { try loading.effnet() }) { encoder in
            let stride = encoder.configuration.stride
            for index in wanted {
                guard let start = requests[index].start else { continue }
                let (height, width) = requests[index].size.latents(of: stageC)
                func fitted(_ image: Image) throws -> Tensor {
                    try FittedImages.tensor(image, height: stride * height, width: stride * width)
                        .to(device: device)
                }
                let mask = try start.mask.map { mask in
                    // Latents change where any of their pixels is to be made anew.
                    try (0.5 - fitted(mask.image).sliced(1, 0..<1)).isBelow(0).to(dtype: .float32).maxPooled(stride)
                }
                starts[index] = (try encoder.latents(of: fitted(start.image)).to(dtype: .float32), mask)
            }
        }
    }

    // MARK: ControlNets

    func makeInjections(_ part: [Int]) throws {
        guard let sources = pipeline.sources, !sources.isEmpty else { return }
        let stageC = try loading.files.stageCArchitecture()
        for (control, source) in sources.enumerated() {
            try pipeline.networks.with(
                "ControlNet \(control)",
                { try ControlNetTrunk.load(source.file, for: stageC, device: device).trunk }
            ) { trunk in
                for index in part {
                    injections[index, default: []].append(try injections(of: requests[index], control, source, trunk))
                }
            }
        }
    }

    /// What a ControlNet makes for an image, by residual block.
    private func injections(
        of request: ImageRequest, _ control: Int, _ source: ControlSource, _ trunk: ControlNetTrunk
    ) throws -> [Int: Tensor] {
        let key = InjectionKey(control: control, width: request.size.width, height: request.size.height)
        if let known = pipeline.injected[key] { return known }
        try checkStopped()
        let (condition, hasDrawn) = try source.condition(
            for: request.size, of: loading.files.stageCArchitecture(), ImageDraws(seeds: [request.seed]))
        let made = try trunk(condition.to(device: device))
        if !hasDrawn { pipeline.injected[key] = made }
        return made
    }
}

/// A text encoder with the adapters that change it.
struct AdaptedText {
    let encoder: TextEncoder
    /// By the pipeline's adapters.
    let adapters: [[any Adapter]]

    func set(_ strengths: [Double]) {
        for (adapters, strength) in zip(adapters, strengths) {
            for adapter in adapters { adapter.strength = strength }
        }
    }
}

extension GenerationPipeline {
    func requiredImageEncoder() throws -> ImageEncoder {
        guard let encoder = try loading.imageEncoder() else { throw Failure.run("there is no image encoder") }
        return encoder
    }

    func adaptedText() throws -> AdaptedText {
        let encoder = try loading.textEncoder()
        let stageC = try configuration.models.stageCArchitecture()
        let networks = AdaptedNetworks(encoder)
        let adapters = try configuration.adapters.map { use in
            let file = try plugIns.open(use.file, use.reading(for: stageC, encoder))
            return try plugIns.kinds(of: file).compactMap { try $0.read(file, for: networks) }
        }
        for adapter in adapters.flatMap(\.self) { try adapter.attach() }
        return AdaptedText(encoder: encoder, adapters: adapters)
    }
}

extension CLIPTokenizer {
    /// What of a text's words is cut off because it has too many tokens; nil where it fits.
    func cut(_ text: String) -> String? {
        guard count(text) > Self.length else { return nil }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        var (fits, tooMany) = (0, words.count)
        while tooMany - fits > 1 {
            let middle = (fits + tooMany) / 2
            if count(words[..<middle].joined(separator: " ")) <= Self.length { fits = middle } else { tooMany = middle }
        }
        return words[fits...].joined(separator: " ")
    }
}
