import AdapterKit
import Loading
import Optimization
import Shards
import Torch

/// A control filter as validation and previews see it: images [B, 3, H, W], their masks [B, 1, H, W] where there are any.
typealias ImageFilter = (_ images: Tensor, _ masks: Tensor?, Generator) throws -> ControlCondition

/// An image with its caption that is looked at and not trained on.
typealias ValidationSample = (image: MaskedImage, caption: String)

/// What a run looks at beside its training: the loss over fixed validation triples, and previews of a few samples.
struct Evaluation {
    /// The loss as the model is now; nil without validation data.
    let measure: (() throws -> ValidationSet.Measurement)?
    /// The same with each image given the condition of another; nil where nothing is conditioned on images.
    let measureSwapped: (() throws -> ValidationSet.Measurement)?
    /// The grid of a few samples, those of the validation data where there is any; nil where none is asked for.
    let preview: (AveragedWeights?) throws -> PreviewGrid?
    /// What tells the validation data from other data under the same names.
    var content: [String?] = []
}

extension Evaluation {
    init(
        _ parts: RecipeParts, _ objective: some TrainingObjective, showing: Showing, adapters: [any Adapter] = [],
        filter: ImageFilter? = nil
    ) throws {
        let paths = parts.run.validationPath
        let shards =
            paths.isEmpty ? [] : try resolveShards(paths, access: parts.run.data.access(parts.options.shardAccess))
        content = shards.map(\.contentSample)
        let samples = try ValidationSet.samples(shards, parts.preparation)
        // The same images every time, never those of the batch: what is seen is then the model's change alone.
        let run = parts.run
        let shown = try run.previewSteps != 0 ? PreviewGrid.shown(samples, parts, filter) : []
        var showing = showing
        showing.steps = run.previewSteps
        preview = { [showing] average in
            guard !shown.isEmpty else { return nil }
            return try PreviewGrid(
                shown, prompts: run.previewPrompts, objective: objective, showing: showing,
                adapters: run.comparesPreviews ? adapters : [],
                draws: Draws(seed: parts.loop.seed, stream: RandomStream.preview, places: 0..<shown.count),
                average: average,
                filter: filter.map { filter in { try filter($0, $1, parts.generator(RandomStream.preview)) } })
        }
        guard !samples.isEmpty else {
            measure = nil
            measureSwapped = nil
            return
        }
        let triples = try ValidationSet(
            samples, triples: parts.run.validationTriples, objective: objective, seed: parts.loop.seed, filter: filter)
        measure = { try triples.measure(objective) }
        measureSwapped = filter == nil ? nil : { try triples.measureSwapped(objective) }
    }
}
