import Cascade
import Diffusion
import Failures
import Glibc
import Images
import Torch

/// Images through what compresses them and back: Stage A alone, the EffNet encoder, Stage B and Stage A, or the encoder and
/// the previewer.
///
/// By Stage B an image goes to the encoder at three quarters of its sides, which gives the latents that Stage C would
/// have made of a prompt (the reference's `downscale_images` in `inference/utils.py`), and no text.
public struct Reconstruction {
    /// By which networks an image goes and comes back.
    public enum Way: String, CaseIterable, Sendable {
        /// Stage A alone; the EffNet encoder, Stage B and Stage A; the EffNet encoder and the previewer.
        case a, b, c
    }

    /// By Stage B where nothing else is said: all that an image of a prompt goes through after Stage C.
    public var way = Way.b
    /// How Stage B samples; the other ways have no steps.
    public var sampling = StageSampling.stageB
    /// Of Stage B.
    public var sampler = SamplerName.ddpm
    /// Decides the noise of Stage B: image `i` has `seed + i`.
    public var seed: UInt64 = 0
    /// What Stage B begins with in the place of drawn noise, [1, c, h, w] for every image.
    public var noise: Tensor?
    private let loading: ModelLoading

    /// Loads nothing yet.
    public init(_ models: ModelFiles) { loading = ModelLoading(models) }

    /// An image that came back.
    public struct Result {
        /// Of the image among those that were given, from 0.
        public let index: Int
        /// In the size of the original, 8 bits a channel.
        public let image: Image
        /// [1, 3, H, W], about 0...1.
        public let pixels: Tensor
        /// Peak signal to noise ratio of the 8-bit samples, in decibels; infinite where they are the same.
        public let psnr: Double
        /// What this image took, without the loading of networks and, by Stage B, without the encoder.
        public let seconds: Double
    }

    /// Takes images there and back.
    /// - Parameter each: is handed every image as soon as it is there.
    public func callAsFunction(
        _ images: [Image], _ hooks: GenerationHooks, each: (Result) throws -> Void
    ) throws {
        for (index, image) in images.enumerated()
        where !ImageSize(width: image.width, height: image.height).isPossible {
            throw Failure.input(
                "image \(index + 1) has a size that cannot be reconstructed",
                expected: "sides of \(ImageSize.sides.lowerBound) to \(ImageSize.sides.upperBound) pixels",
                got: "\(image.width) x \(image.height)")
        }
        let files = loading.files
        if way != .a { _ = try loading.weights(.effnet, files.effnet) }
        if way == .b { _ = try loading.weights(.stageB, files.stageB?.weights) }
        _ = try way == .c ? loading.weights(.previewer, files.previewer) : loading.weights(.stageA, files.stageA)
        try withoutGradients {
            switch way {
            case .a: try byStageA(images, hooks, each)
            case .b: try byStageB(images, hooks, each)
            case .c: try byPreviewer(images, hooks, each)
            }
        }
    }

    private func byStageA(_ images: [Image], _ hooks: GenerationHooks, _ each: (Result) throws -> Void) throws {
        let stageA = try loading.stageA()
        for (index, image) in images.enumerated() {
            if hooks.isStopped() { throw GenerationStopped() }
            let began = hooks.now()
            let latents = try stageA.encode(tensor(image).extended(to: stageA.configuration.reduction))
            try each(result(index, image, stageA.decode(latents), hooks.now() - began))
            hooks.progress(index + 1, images.count, "Stage A")
        }
    }

    private func byPreviewer(_ images: [Image], _ hooks: GenerationHooks, _ each: (Result) throws -> Void) throws {
        let (encoder, previewer) = (try loading.effnet(), try loading.previewer())
        for (index, image) in images.enumerated() {
            if hooks.isStopped() { throw GenerationStopped() }
            let began = hooks.now()
            let whole = try tensor(image).extended(to: encoder.configuration.stride)
            var pixels = try previewer(encoder.latents(of: whole))
            // The published previewer shows images at a fourth of their sides.
            if pixels.shape != whole.shape {
                pixels = try pixels.resized(height: whole.size(2), width: whole.size(3), alignCorners: false)
            }
            try each(result(index, image, pixels, hooks.now() - began))
            hooks.progress(index + 1, images.count, "previewer")
        }
    }

    private func byStageB(_ images: [Image], _ hooks: GenerationHooks, _ each: (Result) throws -> Void) throws {
        let networks = NetworkCache(keeps: false)
        let text = try networks.with("text", { try loading.textEncoder() }) { try $0([""]) }
        let configuration = try loading.files.stageBArchitecture()
        let latents = try networks.with("EffNet", { try loading.effnet() }) { encoder in
            let encode = EffNetConditions(encoder: encoder, for: configuration, device: loading.files.device)
            return try images.map { try encode(ImageTensors.tensor([$0]), scale: 0.75) }
        }
        try networks.with("Stages B and A", { try loading.stagesBAndA() }) { stages in
            for (index, image) in images.enumerated() {
                let began = hooks.now()
                var inputs = ConditionInputs(captions: [""])
                inputs.effnet = latents[index]
                let draws = ImageDraws(seeds: [seed &+ UInt64(index)])
                let device = loading.files.device
                var done = index * sampling.steps
                let made = try stages.0.sample(
                    inputs, (text, text), ImageSize(width: image.width, height: image.height),
                    Sampler(
                        sampling, sampler, steps: sampling.steps,
                        target: ModelFiles.target(of: loading.files.stageB)),
                    from: { try noise?.to(device: device) ?? draws.start(.stageB, $0, device: device) },
                    fresh: { try draws.fresh(.stageB, step: $0, $1, device: device) }
                ) {
                    done += 1
                    hooks.progress(done, images.count * sampling.steps, "Stage B")
                    if hooks.isStopped() { throw GenerationStopped() }
                }
                try each(result(index, image, stages.1.decode(made), hooks.now() - began))
            }
        }
    }

    /// [1, 3, H, W] on the device.
    private func tensor(_ image: Image) throws -> Tensor {
        try ImageTensors.tensor([image]).to(device: loading.files.device)
    }

    private func result(_ index: Int, _ image: Image, _ pixels: Tensor, _ seconds: Double) throws -> Result {
        let size = ImageSize(width: image.width, height: image.height)
        let pixels = try pixels.cut(to: size).to(device: .cpu)
        let decoded = try ImageTensors.images(pixels)[0]
        return Result(
            index: index, image: decoded, pixels: pixels, psnr: image.psnr(of: decoded), seconds: seconds)
    }
}

extension Image {
    /// Peak signal to noise ratio of another image of this size to this one, in decibels.
    func psnr(of other: Image) -> Double {
        let squares = zip(pixels, other.pixels).reduce(0.0) { sum, pair in
            let difference = Double(pair.0) - Double(pair.1)
            return sum + difference * difference
        }
        return 10 * log10(255 * 255 / (squares / Double(pixels.count)))
    }
}

extension Tensor {
    /// [B, 3, H, W] with its last row and column repeated until the sides are multiples of a number.
    fileprivate func extended(to multiple: Int) throws -> Tensor {
        var image = self
        for dimension in [2, 3] {
            let side = size(dimension)
            let missing = (multiple - side % multiple) % multiple
            guard missing > 0 else { continue }
            let last = try image.sliced(dimension, side - 1..<side)
            image = try .concatenated([image] + Array(repeating: last, count: missing), dimension: dimension)
        }
        return image
    }
}
