import Diffusion
import Failures
import Loading
import Shards
import Torch

/// The loss over fixed triples of image, noise and time that are not trained on: what training is judged by.
///
/// The triples come from the seed alone, so two measurements differ by the weights and by nothing else.
struct ValidationSet {
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

    /// Images of one size, each encoded and filtered once.
    private struct Group {
        var images: [PreparedBatch] = []
        var batches: [Batch] = []
    }

    /// Some triples of a group that go through the network together.
    private struct Batch {
        /// Which images of the group.
        let rows: [Int]
        let draw: Diffusion.Draw
    }

    /// Images of a dataset that are looked at.
    static let mostImages = 64
    /// Triples that go through the network together.
    static let batchSize = 16
    private var groups: [Group] = []

    /// - Parameters:
    ///   - triples: how many; images are taken in turn.
    ///   - filter: makes the ControlNet's condition of images [B, 3, H, W].
    init(
        _ samples: [ValidationSample], triples: Int, objective: some TrainingObjective, seed: UInt64,
        filter: ImageFilter? = nil
    ) throws {
        let generator = try Generator(seed: seed, stream: RandomStream.validation, update: 0)
        for (image, caption) in samples {
            let (pixels, mask) = try ([image].pixels(), [image].masks())
            let prepared = try objective.prepare(
                pixels, captions: [caption], condition: filter.map { try $0(pixels, mask, generator).condition })
            if let index = groups.firstIndex(where: { $0.images[0].latents.shape == prepared.latents.shape }) {
                groups[index].images.append(prepared)
            } else {
                groups.append(Group(images: [prepared]))
            }
        }
        var (triplesLeft, imagesLeft, triplesDrawn) = (triples, samples.count, 0)
        for index in groups.indices {
            let images = groups[index].images
            let share = max(1, triplesLeft * images.count / imagesLeft)
            triplesLeft -= share
            imagesLeft -= images.count
            for start in stride(from: 0, to: share, by: Self.batchSize) {
                let rows = (start..<min(start + Self.batchSize, share)).map { $0 % images.count }
                let latents = images[0].latents
                let draws = Draws(
                    seed: seed, stream: RandomStream.validation, places: triplesDrawn..<triplesDrawn + rows.count)
                triplesDrawn += rows.count
                let draw = try objective.diffusion.draw(latents.sampleShape, device: latents.device, from: draws)
                groups[index].batches.append(Batch(rows: rows, draw: draw))
            }
        }
    }

    /// The losses as the model is now.
    func measure(_ objective: some TrainingObjective) throws -> Measurement {
        try measure(objective, conditionShift: 0)
    }

    /// The losses with each image given the condition of the next.
    func measureSwapped(_ objective: some TrainingObjective) throws -> Measurement {
        try measure(objective, conditionShift: 1)
    }

    private func measure(_ objective: some TrainingObjective, conditionShift shift: Int) throws -> Measurement {
        try withoutGradients {
            var losses: [Double] = []
            for group in groups {
                // A ControlNet's trunk sees each image once, however many triples the image is in.
                let settled = try group.images.map(objective.settled)
                for batch in group.batches {
                    let joined = try PreparedBatch.joined(
                        batch.rows.map { settled[$0] },
                        conditionsOf: batch.rows.map { settled[($0 + shift) % settled.count] })
                    losses += try objective.loss(joined, batch.draw).perSample.values()
                }
            }
            return Measurement(losses: losses)
        }
    }

    /// The samples of shards that hold no more than fit in memory, in the order of the shards, as the buckets fit them.
    static func samples(
        _ shards: [Shard], _ preparation: SamplePreparation, limit: Int = mostImages
    ) throws -> [ValidationSample] {
        guard let first = shards.first else { return [] }
        let samples = try self.first(shards, preparation, limit: limit)
        guard samples.count > 1 else {
            throw Failure.input(
                "the validation dataset is too small", at: Failure.Place(first.name),
                expected: "at least 2 images with captions", got: "\(samples.count)",
                advice: "look at the data with: cascade-adapt dataset inspect PATH")
        }
        return samples
    }

    /// The first samples of use, however few.
    /// - Throws: a failure of the run where the network fails.
    static func first(
        _ shards: [Shard], _ preparation: SamplePreparation, limit: Int = 16
    ) throws -> [ValidationSample] {
        let reader = ShardReader(shards: shards, outages: .end)
        var samples: [ValidationSample] = []
        while samples.count < limit, let sample = reader.next() {
            if let prepared = preparation.withoutChance(sample) { samples.append(prepared) }
        }
        if let outage = reader.outage { throw outage }
        return samples
    }
}
