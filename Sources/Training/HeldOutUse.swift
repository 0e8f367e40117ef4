import AdapterKit
import Cascade
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
    /// The grid of a few samples.
    let preview: (Generator) throws -> PreviewGrid?

    init(
        _ parts: RecipeParts, _ objective: some TrainingObjective, showing: Showing, filter: PictureFilter? = nil
    ) throws {
        let paths = parts.run.validationPath
        let shards =
            paths.isEmpty ? [] : try resolveShards(paths, access: parts.run.data.access(parts.options.shardAccess))
        let samples = try HeldOut.samples(shards, parts.preparation)
        guard !samples.isEmpty else {
            measure = nil
            measureSwapped = nil
            preview = { _ in nil }
            return
        }
        let triples = try HeldOut(
            samples, triples: parts.run.validationTriples, objective: objective, seed: parts.loop.seed, filter: filter)
        measure = { try triples.measure(objective) }
        measureSwapped = filter == nil ? nil : { try triples.measureSwapped(objective) }
        let shown = RecipeParts.alike(samples, count: 4)
        preview = { generator in
            try PreviewGrid(shown, objective: objective, showing: showing, generator: generator, filter: filter)
        }
    }
}
