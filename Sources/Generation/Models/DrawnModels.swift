import Cascade
import Images
import Layers
import Optimization
import Torch

/// Small stand-ins for the published networks around Stage C, drawn from a seed on the spot: enough to try everything,
/// not enough for images that please.
///
/// A drawn network yields numbers of no particular scale until every batch norm has seen data once, so the statistics
/// are measured on images. The previewer is then fitted to them a little, for a drawn one shows nothing but noise.
public struct DrawnModels {
    /// How the stand-ins are measured and fitted.
    public struct Configuration: Sendable {
        /// Side of the images that are looked at.
        public var imageSide = 128
        /// Images that are looked at, at most.
        public var images = 48
        /// `c_hidden` of the previewer; the published one has 512.
        public var previewerWidth = 64
        /// Updates of the previewer's fit.
        public var previewerUpdates = 80
        /// Pairs of latents and images in one update of the fit.
        public var previewerBatch = 8
        /// Learning rate of the fit's first update; it falls linearly to 0.
        public var previewerLearningRate = 2e-3

        /// The values that `cascade-adapt models draw` uses.
        public init() {}
    }

    /// Values of a text encoder that suits the tiny Stage C and the published vocabulary.
    public static let textConfiguration: CLIPTextConfiguration = {
        var text = CLIPTextConfiguration()
        text.width = 128
        text.innerWidth = 512
        text.layers = 2
        text.heads = 4
        text.projected = 128
        text.activation = .gelu
        return text
    }()

    /// The parameters of the EffNet encoder.
    public let effNet: ParameterStore
    /// The parameters of the previewer, after its fit.
    public let previewer: ParameterStore
    /// The parameters of the text encoder, of ``textConfiguration``.
    public let text: ParameterStore
    /// Mean squared error of the previewer before and after its fit.
    public let previewerLoss: (before: Double, after: Double)

    /// - Parameters:
    ///   - images: of the configured side, at least one.
    ///   - progress: called after each update of the previewer with how many are done.
    public init(
        _ configuration: Configuration, seed: UInt64, images: [Image], progress: (Int) -> Void = { _ in }
    ) throws {
        func store(_ stream: UInt64) throws -> ParameterStore {
            ParameterStore(from: DrawnParameters(try Generator(seed: seed, stream: stream, update: 0)))
        }
        effNet = try store(1)
        let encoder = try EffNetEncoder(.init(), effNet.root)
        let pixels = try ImageTensors.tensor(images)  // [B, 3, H, W]
        let normalised = try EffNetEncoder.normalised(pixels)
        try encoder.measureStatistics(on: normalised)
        let latents = try withoutGradients { try encoder.encode(normalised) }  // [B, 16, H/32, W/32]

        previewer = try store(2)
        let decoder = try Previewer(.init(hidden: configuration.previewerWidth), previewer.root)
        try decoder.measureStatistics(on: latents)
        let targets = try pixels.resized(
            height: latents.size(2) * 8, width: latents.size(3) * 8, alignCorners: false, antialias: true)
        previewerLoss = try Self.fit(
            decoder, previewer, (latents, targets), configuration,
            generator: Generator(seed: seed, stream: 3, update: 0), progress)

        text = try store(4)
        _ = try CLIPTextTower(Self.textConfiguration, text.root)
    }

    /// Trains the previewer on pairs of latents and small images.
    private static func fit(
        _ previewer: Previewer, _ store: ParameterStore, _ pairs: (latents: Tensor, targets: Tensor),
        _ configuration: Configuration, generator: Generator, _ progress: (Int) -> Void
    ) throws -> (before: Double, after: Double) {
        func loss(_ latents: Tensor, _ targets: Tensor) throws -> Tensor {
            try previewer(latents).meanSquaredError(to: targets)
        }
        let before = try withoutGradients { try loss(pairs.latents, pairs.targets).item() }
        try store.setTrainable(true)
        let optimizer = try AdamW([.init(store.parameters, weightDecay: 0)])
        let count = pairs.latents.size(0)
        for update in 0..<configuration.previewerUpdates {
            let chosen = try (generator.uniform([configuration.previewerBatch]) * Double(count)).floor()
                .clamped(max: Double(count - 1)).to(dtype: .int64)
            try withGradients(enabled: true) {
                try loss(pairs.latents.gathered(0, chosen), pairs.targets.gathered(0, chosen)).backward()
            }
            // The rate falls to nothing, which leaves the fit at rest.
            let progressed = Double(update) / Double(configuration.previewerUpdates)
            try optimizer.step(learningRate: configuration.previewerLearningRate * (1 - progressed))
            try optimizer.clearGradients()
            progress(update + 1)
        }
        try store.setTrainable(false)
        return (before, try withoutGradients { try loss(pairs.latents, pairs.targets).item() })
    }
}
