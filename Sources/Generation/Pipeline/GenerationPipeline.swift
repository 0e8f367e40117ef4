import Images
import AdapterKit
import Cascade
import Diffusion
import Failures
import Torch

/// From prompts to images: text encoder, Stage C, Stage B, Stage A, with any number of adapters.
///
/// Networks are loaded one after the other and gone before the next one comes, so that the largest of them decides how
/// much memory it takes; all images go through one before the next is loaded. With `keepsNetworks` they stay, and each
/// image goes through all of them before the next is begun.
public final class GenerationPipeline {
    /// What a pipeline loads and how it uses it; all requests have it in common.
    public struct Configuration {
        /// Where the networks come from.
        public var models: ModelFiles
        /// Adapters of weights and tokens, attached in this order.
        public var adapters: [AdapterUse] = []
        /// ControlNets of Stage C; what they inject is added up.
        public var controlNets: [ControlUse] = []
        /// What makes images of Stage C's latents: Stages B and A by default.
        public var decoder = DecoderName.stages
        /// Whether networks stay loaded, for whoever asks again and again.
        public var keepsNetworks = false
        /// How many images go through a stage at once.
        public var batch = 1

        /// Without adapters and ControlNets, an image at a time.
        public init(models: ModelFiles) { self.models = models }
    }

    /// What makes images of Stage C's latents.
    public enum DecoderName: String, CaseIterable, Sendable {
        /// Stage B and Stage A.
        case stages
        /// The previewer, for a quick look.
        case previewer
    }

    /// As it was given.
    public let configuration: Configuration
    let plugIns: PlugIns
    let loading: ModelLoading
    let networks: NetworkCache
    /// What conditions ControlNets made that depend on nothing but the image's shape.
    var injected: [InjectionKey: [Int: Tensor]] = [:]
    /// The ControlNets' files, once they are checked.
    var sources: [ControlSource]?

    /// Reads no file yet.
    /// - Parameter plugIns: the kinds of adapters and the filters that files can name.
    public init(_ configuration: Configuration, _ plugIns: PlugIns) {
        self.configuration = configuration
        self.plugIns = plugIns
        loading = ModelLoading(configuration.models)
        networks = NetworkCache(keeps: configuration.keepsNetworks)
    }

    /// The images of requests, in their order.
    public func images(_ requests: [ImageRequest]) throws -> [GeneratedImage] {
        var images: [GeneratedImage] = []
        try generate(requests, GenerationHooks()) { images.append($0) }
        return images
    }

    /// Makes images.
    /// - Parameter each: is handed every image as soon as it is there.
    /// - Throws: a failure; `GenerationStopped` where the hooks asked for it.
    public func generate(
        _ requests: [ImageRequest], _ hooks: GenerationHooks, each: (GeneratedImage) throws -> Void
    ) throws {
        try check(requests, note: hooks.note)
        if configuration.models.device == .cpu {
            let (bytes, stage) = try peakMemory(requests)
            hooks.note("memory: about \(bytes / 1_000_000) MB at most, in \(stage)")
        }
        let run = GenerationRun(self, requests, hooks)
        let all = Array(requests.indices)
        hooks.progress(0, run.total, "")
        try withoutGradients {
            for part in configuration.keepsNetworks ? run.batches(of: all) : [all] {
                try run.make(part, each: each)
            }
        }
    }

    // MARK: Checks

    /// Checks all that can be checked before the first network is loaded.
    private func check(_ requests: [ImageRequest], note: (String) -> Void) throws {
        for request in requests {
            guard request.size.isPossible else {
                throw Failure.input(
                    "an image cannot have this size",
                    expected: "sides of \(ImageSize.sides.lowerBound) to "
                        + "\(ImageSize.sides.upperBound) pixels", got: "\(request.size.width) x \(request.size.height)")
            }
            if let start = request.start, let mask = start.mask,
                mask.width != start.image.width || mask.height != start.image.height
            {
                throw ControlSource.anotherSize(mask, "the mask", than: start.image)
            }
        }
        _ = try ModelFiles.named(configuration.models.text, ModelPart.clipText.description).folder()
        for part in parts(requests) { _ = try loading.weights(part.part, part.source) }
        let files = configuration.models
        if requests.contains(where: { $0.variation != nil }) {
            _ = try ModelFiles.named(files.image, ModelPart.clipVision.description).folder()
        }
        for use in configuration.adapters {
            let file = try plugIns.open(use.file, use.reading(for: files.stageCArchitecture()))
            guard file.kinds != [ControlNetKind().name] else {
                throw Failure.input(
                    "a ControlNet lies in the place of an adapter of weights", at: .init(use.file),
                    advice: "ControlNets are given with --controlnet and --image")
            }
        }
        if sources == nil {
            let stageC = try files.stageCArchitecture()
            sources = try configuration.controlNets.map { try ControlSource($0, for: stageC, plugIns, note: note) }
        }
    }

    /// The networks that requests need, in the order in which they are loaded.
    func parts(_ requests: [ImageRequest]) -> [(part: ModelPart, source: ModelFiles.Source?)] {
        let files = configuration.models
        var parts: [(ModelPart, ModelFiles.Source?)] = []
        if requests.contains(where: { $0.start != nil }) { parts.append((.effnet, files.effnet)) }
        parts.append((.stageC, files.stageC?.weights))
        switch configuration.decoder {
        case .stages: parts += [(.stageB, files.stageB?.weights), (.stageA, files.stageA)]
        case .previewer: parts.append((.previewer, files.previewer))
        }
        return parts
    }
}

extension AdapterUse {
    /// What is known beside the file.
    func reading(for stageC: StageCConfiguration, _ text: TextEncoder? = nil) -> AdapterReading {
        var reading = reading
        reading.architecture = stageC
        reading.text = text ?? reading.text
        return reading
    }
}
