import AdapterKit
import Cascade
import Optimization
import Shards
import Torch

/// A control filter as held-out data sees it.
typealias PictureFilter = (_ pictures: Tensor, Generator) throws -> ControlCondition

/// What held-out data is for in a run: fixed triples to measure with, and a few samples to look at.
struct HeldOutUse {
    /// The loss as the model is now; nil where no data was set aside.
    let measure: (() throws -> HeldOut.Measurement)?
    /// The same with each picture given the condition of another; nil where nothing is conditioned on pictures.
    let measureSwapped: (() throws -> HeldOut.Measurement)?
    /// The grid of a few samples, held out ones where there are any; nil where none is asked for.
    let preview: (Generator, AveragedWeights?) throws -> PreviewGrid?

    init(
        _ parts: RecipeParts, _ objective: some TrainingObjective, showing: Showing, filter: PictureFilter? = nil
    ) throws {
        let paths = parts.run.validationPath
        let shards =
            paths.isEmpty ? [] : try resolveShards(paths, access: parts.run.data.access(parts.options.shardAccess))
        let samples = try HeldOut.samples(shards, parts.preparation)
        // The same pictures every time, never those of the batch: what is seen is then the model's change alone.
        let run = parts.run
        let shown = try run.previewSteps != 0 ? PreviewGrid.shown(samples, parts, filter) : []
        var showing = showing
        if let steps = run.previewSteps { showing.steps = steps }
        preview = { [showing] generator, average in
            guard !shown.isEmpty else { return nil }
            return try PreviewGrid(
                shown, prompts: run.previewPrompts, objective: objective, showing: showing, generator: generator,
                average: average, filter: filter)
        }
        guard !samples.isEmpty else {
            measure = nil
            measureSwapped = nil
            return
        }
        let triples = try HeldOut(
            samples, triples: parts.run.validationTriples, objective: objective, seed: parts.loop.seed, filter: filter)
        measure = { try triples.measure(objective) }
        measureSwapped = filter == nil ? nil : { try triples.measureSwapped(objective) }
    }
}
