import Cascade
import Failures
import Glibc
import JSON
import Layers
import Optimization
import Telemetry
import Torch

/// Text encoder and image encoder, contrasted from a seed: an image and its caption get like embeddings.
struct TowersTraining {
    private let recipe: TowersRecipe
    private let images: ImageSet
    private let tokens: CaptionTokens
    private let seed: UInt64
    private let text: CLIPTextTower
    private let image: CLIPVisionTower
    private let stores: (text: ParameterStore, image: ParameterStore)
    private let preprocessing: CLIPPreprocessing

    /// What keeps apart what the seed serves.
    private enum Stream: UInt64 { case text = 11, image, images, untrained }

    /// - Parameter tokenizer: whose vocabulary the text encoder has.
    init(_ recipe: TowersRecipe, tokenizer: CLIPTokenizer, seed: UInt64, images: ImageSet) throws {
        guard images.side == recipe.image.imageSize else {
            throw Failure.input(
                "the images are not what the image encoder looks at",
                expected: "a side of \(recipe.image.imageSize) pixels",
                got: "\(images.side)")
        }
        guard tokenizer.size <= recipe.text.vocabulary, tokenizer.endID == recipe.text.endToken else {
            throw Failure.input(
                "this is not CLIP's tokenizer",
                expected: "\(recipe.text.vocabulary) tokens that end with \(recipe.text.endToken)",
                got: "\(tokenizer.size), \(tokenizer.endID)")
        }
        self.recipe = recipe
        self.images = images
        self.seed = seed
        tokens = CaptionTokens(Set(images.labels.map(\.caption)), tokenizer)
        // In float32: the gradients of words that every caption has are sums over the batch, too long for bfloat16.
        func store(_ stream: Stream) throws -> ParameterStore {
            ParameterStore(from: DrawnParameters(try Generator(seed: seed, stream: stream.rawValue, update: 0)))
        }
        stores = (try store(.text), try store(.image))
        text = try CLIPTextTower(recipe.text, stores.text.root)
        image = try CLIPVisionTower(recipe.image, stores.image.root)
        preprocessing = CLIPPreprocessing(side: recipe.image.imageSize)
    }

    /// Trains in a folder, or goes on there.
    func train(in folder: String, console: Console) throws {
        let networks = [
            try MasterWeights(of: stores.text, named: "text"), try MasterWeights(of: stores.image, named: "image"),
        ]
        let logScale = try Tensor([Float(-log(recipe.temperature))])
        try logScale.setRequiresGrad(true)
        let optimizer = try AdamW(
            ParameterGroup.decaying(
                networks.flatMap(\.weights) + [("logit_scale", logScale)], by: recipe.weightDecay))
        let run = TrainingRun(
            title: "towers", folder: folder, recipe: description,
            schedule: LearningRateSchedule(
                full: recipe.learningRate, warmupUpdates: min(recipe.warmupUpdates, recipe.updates / 10),
                updates: recipe.updates, course: .cosine(least: 0, cycles: 1)),
            clipping: GradientClipping(limit: recipe.gradientNorm), batch: recipe.batch, console: console)
        try run(networks, further: [("logit_scale", logScale)], optimizer) { update in
            try loss(update: update, logScale: logScale)
        }
        try settleUntrained()
    }

    private var description: JSON {
        var members = recipe.json.objectValue ?? .init()
        members["seed"] = .integer(Int(truncatingIfNeeded: seed))
        members["images"] = .integer(images.count)
        return .object(members)
    }

    private func loss(update: Int, logScale: Tensor) throws -> Tensor {
        let generator = try Generator(seed: seed, stream: Stream.images.rawValue, update: update)
        let chosen = try generator.uniform([recipe.batch]).values(as: Float.self).map {
            min(Int($0 * Float(images.count)), images.count - 1)
        }
        let labels = chosen.map { images.labels[$0] }
        let (ids, mask) = try tokens(labels.map(\.caption))
        return try Contrast(labels).loss(
            image(preprocessing(images.images(chosen))), text(ids, attentionMask: mask).pooled,
            logScale: logScale.clamped(max: -log(recipe.leastTemperature)))
    }

    /// Gives what no caption has trained values that do no harm.
    ///
    /// A word that no caption has would keep the numbers it was drawn with, far from all that the layers know, and could
    /// mean anything: it gets the mean of the trained words instead, about as far from each, and a little of its own, so
    /// that two such words are not the same. Likewise positions past the longest caption get what the last one has.
    private func settleUntrained() throws {
        let trained = tokens.ids.sorted()
        let table = text.tokenTable.weight  // [vocabulary, c]
        let rows = try withoutGradients { try table.detached().gathered(0, Tensor(trained)) }
        let generator = try Generator(seed: seed, stream: Stream.untrained.rawValue, update: 0)
        let deviation = try rows.variance([0], keepingDimensions: true).sqrt() * recipe.untrainedDeviation
        let settled = try generator.normal(table.shape) * deviation + rows.mean([0], keepingDimensions: true)
        var isTrained = [UInt8](repeating: 0, count: table.size(0))
        for id in trained { isTrained[id] = 1 }
        let mask = try Tensor(isTrained, shape: [table.size(0), 1]).to(dtype: .bool)
        try table.assign(mask.choose(table.detached(), settled))

        guard let positions = stores.text["text_model.embeddings.position_embedding.weight"] else { return }
        for place in tokens.length..<recipe.text.positions {
            try positions.detached().sliced(0, place..<place + 1)
                .assign(positions.detached().sliced(0, tokens.length - 1..<tokens.length))
        }
    }

    /// The tensors of both files, in bfloat16.
    func files() throws -> (text: [(name: String, tensor: Tensor)], image: [(name: String, tensor: Tensor)]) {
        func stored(_ store: ParameterStore) throws -> [(name: String, tensor: Tensor)] {
            try store.tensors.map { ($0.name, try $0.tensor.to(dtype: .bfloat16)) }
        }
        return (try stored(stores.text), try stored(stores.image))
    }
}
