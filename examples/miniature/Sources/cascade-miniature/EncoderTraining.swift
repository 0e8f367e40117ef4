import Cascade
import Failures
import JSON
import Layers
import Optimization
import Telemetry
import Torch

/// Encoder and previewer, trained together from a seed: images to latents and back.
struct EncoderTraining {
    private let recipe: EncoderRecipe
    private let images: ImageSet
    private let seed: UInt64
    private let encoder: EffNetEncoder
    private let previewer: Previewer
    private let stores: (encoder: ParameterStore, previewer: ParameterStore)

    /// What keeps apart what the seed serves.
    private enum Stream: UInt64 { case encoder = 1, previewer, images, corners, latents }

    init(_ recipe: EncoderRecipe, _ architecture: StageCConfiguration, seed: UInt64, images: ImageSet) throws {
        self.recipe = recipe
        self.images = images
        self.seed = seed
        let dtype = Processor.isFastAtBFloat16 ? DType.bfloat16 : .float32
        func store(_ stream: Stream) throws -> ParameterStore {
            ParameterStore(
                from: DrawnParameters(try Generator(seed: seed, stream: stream.rawValue, update: 0)), dtype: dtype)
        }
        stores = (try store(.encoder), try store(.previewer))
        encoder = try EffNetEncoder(architecture.encoder, stores.encoder.root)
        previewer = try Previewer(architecture.previewer, stores.previewer.root)
        guard images.side % 8 == 0, encoder.configuration.stride == 8 else {
            throw Failure.input(
                "this recipe trains an encoder of stride 8 on images whose sides are multiples of 8",
                expected: "latents that the previewer, which makes sides 8 times as long, brings back to the image",
                got: "stride \(encoder.configuration.stride), images of \(images.side) pixels")
        }
    }

    /// Trains in a folder, or goes on there.
    func train(in folder: String, console: Console) throws {
        encoder.isTraining = true
        previewer.isTraining = true
        defer {
            encoder.isTraining = false
            previewer.isTraining = false
        }
        let networks = [
            try MasterWeights(of: stores.encoder, named: "encoder"),
            try MasterWeights(of: stores.previewer, named: "previewer"),
        ]
        var adam = AdamW.Configuration()
        adam.betas = recipe.betas
        let optimizer = try AdamW(
            ParameterGroup.decaying(networks.flatMap(\.weights), by: recipe.weightDecay), configuration: adam)
        let run = TrainingRun(
            title: "encoder and previewer", folder: folder, recipe: description,
            schedule: LearningRateSchedule(
                full: recipe.learningRate, warmupUpdates: min(recipe.warmupUpdates, recipe.updates / 10),
                updates: recipe.updates, course: .cosine(least: 0, cycles: 1)),
            clipping: GradientClipping(limit: recipe.gradientNorm), batch: recipe.batch, console: console)
        try run(networks, optimizer) { try loss(update: $0) }
    }

    /// The tensors of both files, in bfloat16 but for the batch norms' statistics.
    func files() throws -> (encoder: [(name: String, tensor: Tensor)], previewer: [(name: String, tensor: Tensor)]) {
        func stored(_ store: ParameterStore) throws -> [(name: String, tensor: Tensor)] {
            try store.entries.map { ($0.key, try $0.isBuffer ? $0.tensor : $0.tensor.to(dtype: .bfloat16)) }
        }
        return (try stored(stores.encoder), try stored(stores.previewer))
    }

    private var description: JSON {
        var members = recipe.json.objectValue ?? .init()
        members["seed"] = .integer(Int(truncatingIfNeeded: seed))
        members["images"] = .integer(images.count)
        members["encoder"] = encoder.configuration.backbone.json
        members["dtype"] = .string("\(stores.encoder.dtype)")
        return .object(members)
    }

    private func loss(update: Int) throws -> Tensor {
        let images = try batch(update)
        let latents = try encoder.encode(EffNetEncoder.normalised(images)).to(dtype: .float32)
        let draws = Draws(
            seed: seed, stream: Stream.latents.rawValue, update: update, places: 0..<recipe.batch)
        let levels = try draws.uniform(.level, [1, 1, 1]).squared() * recipe.noise
        let seen = try latents + draws.normal(.noise, latents.sampleShape) * levels
        return try Self.loss(previewer(seen).to(dtype: .float32), images, recipe)
    }

    /// Mean absolute error, that of the differences between neighbours, and mean squared error.
    static func loss(_ made: Tensor, _ wanted: Tensor, _ recipe: EncoderRecipe) throws -> Tensor {
        let difference = try made - wanted  // [B, 3, H, W]
        func neighbours(_ dimension: Int) throws -> Tensor {
            let last = difference.size(dimension) - 1
            return try (difference.sliced(dimension, 1..<last + 1) - difference.sliced(dimension, 0..<last)).abs()
                .mean()
        }
        return try difference.abs().mean() + (neighbours(2) + neighbours(3)) * recipe.gradientWeight
            + difference.squared().mean() * recipe.squareWeight
    }

    /// The images of an update: squares of them at first, whole ones in the end.
    private func batch(_ update: Int) throws -> Tensor {
        let isWhole = Double(update) > Double(recipe.updates) * (1 - recipe.wholeShare)
        let side = isWhole ? images.side : min(recipe.square, images.side)
        func whole(_ stream: Stream, _ shape: [Int], below limit: Int) throws -> [Int] {
            let generator = try Generator(seed: seed, stream: stream.rawValue, update: update)
            return try generator.uniform(shape).values(as: Float.self).map { min(Int($0 * Float(limit)), limit - 1) }
        }
        let chosen = try whole(.images, [recipe.batch], below: images.count)
        let corners = try whole(.corners, [recipe.batch, 2], below: images.side - side + 1)
        return try images.squares(
            chosen.enumerated().map { .init(image: $1, top: corners[2 * $0], left: corners[2 * $0 + 1]) }, side: side)
    }
}
