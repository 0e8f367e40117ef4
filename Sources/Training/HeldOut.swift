import Cascade
import Diffusion
import Failures
import Images
import JSON
import Shards
import Torch

/// The loss over fixed triples of held-out picture, noise and time: what training is judged by.
///
/// The triples come from the seed alone, so two measurements differ by the weights and by nothing else.
struct HeldOut {
    /// Losses of each triple, unweighted.
    struct Measurement {
        let losses: [Double]

        var mean: Double { losses.reduce(0, +) / Double(losses.count) }

        /// Mean and standard error of the differences to another measurement, triple by triple.
        func change(since before: Measurement) -> (mean: Double, standardError: Double) {
            let differences = zip(losses, before.losses).map { $0 - $1 }
            let count = Double(differences.count)
            let mean = differences.reduce(0, +) / count
            let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1)
            return (mean, (variance / count).squareRoot())
        }
    }

    private let batches: [(batch: StageCObjective.Prepared, draw: Diffusion.Draw)]

    /// - Parameters:
    ///   - triples: how many; pictures are taken in turn.
    ///   - condition: makes the ControlNet's condition of pictures [B, 3, H, W].
    init(
        _ samples: [(picture: Picture, caption: String)], triples: Int, objective: StageCObjective, seed: UInt64,
        condition: ((Tensor, Generator) throws -> Tensor)? = nil
    ) throws {
        let generator = try Generator(seed: seed, stream: RandomStream.heldOut, update: 0)
        let device = objective.model.stageC.store.device
        // Pictures of one size go through the encoder together, once.
        var prepared: [StageCObjective.Prepared] = []
        for (picture, caption) in samples {
            let pixels = try Tensor(picture.planar().values, shape: [1, 3, picture.height, picture.width])
            prepared.append(
                try objective.prepare(
                    pixels, captions: [caption], condition: condition.map { try $0(pixels, generator) }))
        }
        let groups = Dictionary(grouping: prepared.indices) { prepared[$0].latents.shape }
        let order = groups.values.sorted { $0[0] < $1[0] }
        var batches: [(StageCObjective.Prepared, Diffusion.Draw)] = []
        let size = 16
        for group in order {
            let share = triples * group.count / samples.count
            let indices = (0..<max(1, share)).map { group[$0 % group.count] }
            for start in stride(from: 0, to: indices.count, by: size) {
                let chosen = indices[start..<min(start + size, indices.count)].map { prepared[$0] }
                let batch = StageCObjective.Prepared(
                    latents: try .concatenated(chosen.map(\.latents), dimension: 0),
                    captions: chosen.flatMap(\.captions),
                    condition: chosen[0].condition == nil
                        ? nil : try .concatenated(chosen.compactMap(\.condition), dimension: 0))
                batches.append(
                    (batch, try objective.diffusion.draw(batch.latents.shape, device: device, from: generator)))
            }
        }
        self.batches = batches
    }

    /// The losses as the model is now.
    func measure(_ objective: StageCObjective) throws -> Measurement {
        try measure(objective) { $0 }
    }

    /// The losses with each picture given the condition of another.
    func measureSwapped(_ objective: StageCObjective) throws -> Measurement {
        try measure(objective) { batch in
            guard let condition = batch.condition, condition.size(0) > 1 else { return batch }
            let count = condition.size(0)
            let rolled = try Tensor.concatenated(
                [condition.sliced(0, 1..<count), condition.sliced(0, 0..<1)], dimension: 0)
            return .init(latents: batch.latents, captions: batch.captions, condition: rolled)
        }
    }

    private func measure(
        _ objective: StageCObjective, changing: (StageCObjective.Prepared) throws -> StageCObjective.Prepared
    ) throws -> Measurement {
        try withoutGradients {
            Measurement(
                losses: try batches.flatMap { batch, draw in
                    try objective.loss(changing(batch), draw).perSample.values(as: Double.self)
                })
        }
    }

    /// The samples of shards that hold no more than fit in memory, in the order of the shards, as the buckets fit them.
    static func samples(
        _ paths: [String], buckets: AspectBuckets, limit: Int = 64
    ) throws -> [(picture: Picture, caption: String)] {
        guard !paths.isEmpty else { return [] }
        let reader = ShardReader(shards: try resolveShards(paths))
        var samples: [(Picture, String)] = []
        while samples.count < limit, let sample = reader.next() {
            guard let bytes = sample.picture, let caption = sample.caption,
                let picture = try? Picture(decoding: bytes, name: sample.place)
            else { continue }
            samples.append((picture.fitted(buckets.fit(width: picture.width, height: picture.height)), caption))
        }
        guard samples.count > 1 else {
            throw Failure.input(
                "the held-out data is too little to measure with", at: Failure.Place(paths[0]),
                expected: "at least 2 pictures with captions", got: "\(samples.count)")
        }
        return samples
    }
}

/// What random numbers are for: each purpose has its own stream, so that none shifts another's.
enum RandomStream {
    static let initialisation: UInt64 = 1
    static let update: UInt64 = 2
    static let heldOut: UInt64 = 3
    static let preview: UInt64 = 4
    static let filter: UInt64 = 5
}
