import Failures
import Images
import Shards

/// Takes decoded samples in the order in which they were assigned and gives batches of one bucket each.
///
/// A sample that turns out to be of no use leaves a place empty, which the next of its bucket takes.
struct BucketQueues {
    /// Everything lost up to the last step, by reason.
    private(set) var drops = DroppedSamples()
    /// Images so far whose colour profiles were ignored.
    private(set) var colourProfiles = 0
    private let batchSize: Int
    /// Where failures say that the data is.
    private let place: String?
    private let preparing: StepPreparation
    private var queues: [AspectBuckets.Bucket: [Entry]] = [:]
    /// What the queues hold, in the order in which it came.
    private var decoded: [(turn: SampleTurn, bucket: AspectBuckets.Bucket, place: Int)] = []
    /// Where the loader stood once the last samples were decoded that had been assigned together.
    private var state: LoaderState?
    /// Whether the present epoch may have had samples of use before the loader began.
    private var hasBegunBefore: Bool
    /// What was lost, and how many samples that had been assigned, since one was of use.
    private var lostInVain = DroppedSamples()
    private var failedInVain = 0

    private struct Entry {
        let sample: LoadedSample
        /// Of the sample among those that it was assigned with.
        let place: Int
        /// As ``PreparedSample/file``.
        let file: FittedSample?
    }

    /// - Parameter preparing: for samples that this process has to take and another has decoded.
    init(_ preparing: StepPreparation, place: String?, from state: LoaderState) {
        self.preparing = preparing
        batchSize = preparing.batchSize
        self.place = place
        hasBegunBefore = state != LoaderState()
    }

    /// - Returns: a batch, where the step completes one.
    /// - Throws: a failure of the input after an epoch of which nothing was of use.
    mutating func take(_ step: PreparedStep) throws -> ImageBatch? {
        drops.add(step.lost)
        lostInVain.add(step.lost)
        switch step.step {
        case .endOfEpoch(let assigned, let waiting):
            try checkUse(assigned, waiting)
            hasBegunBefore = false
            return nil
        case .sample(let prepared, let isAgain, let after):
            try take(prepared, isAgain: isAgain)
            return try batch(after: after)
        }
    }

    private mutating func take(_ prepared: PreparedSample, isAgain: Bool) throws {
        switch prepared.outcome {
        case .dropped(let reason):
            var lost = DroppedSamples()
            lost.addSample(reason)
            drops.add(lost)
            lostInVain.add(lost)
            failedInVain += 1
        case .of(let sample):
            (lostInVain, failedInVain) = (DroppedSamples(), 0)
            if sample.hasColourProfile, !isAgain { colourProfiles += 1 }
            queues[sample.fit.bucket, default: []].append(
                Entry(sample: sample, place: prepared.place, file: prepared.file))
            decoded.append((sample.turn, sample.fit.bucket, prepared.place))
        }
    }

    /// - Parameter after: where the loader stands, once all samples are decoded that were assigned together.
    private mutating func batch(after: LoaderState?) throws -> ImageBatch? {
        guard let after else { return nil }
        state = after
        return try next()
    }

    /// A batch that needs no further step.
    /// - Throws: a ``LoneFailure`` where a sample can't be decoded that another process could decode.
    mutating func next() throws -> ImageBatch? {
        guard var after = state, let full = decoded.first(where: { queues[$0.bucket]?.count ?? 0 >= batchSize }),
            let entries = queues[full.bucket]
        else { return nil }
        let used = Array(entries.prefix(batchSize))
        queues[full.bucket] = Array(entries.dropFirst(batchSize))
        let turns = Set(used.map(\.sample.turn))
        decoded.removeAll { turns.contains($0.turn) }
        (after.decoded, after.places) = (decoded.map(\.turn), decoded.map(\.place))
        guard let share = preparing.share else { return ImageBatch(samples: used.map(\.sample), stateAfter: after) }
        let takers = share.takers(of: used.map(\.place))
        let samples = try zip(used, takers).map { entry, taker in
            var sample = entry.sample
            if taker != share.rank {
                sample.content = .elsewhere
            } else if let file = entry.file {
                sample = try late(file)
            }
            return sample
        }
        return ImageBatch(
            samples: samples, stateAfter: after, own: takers.indices.filter { takers[$0] == share.rank })
    }

    /// A sample that another process has decoded, and this one takes.
    private func late(_ file: FittedSample) throws -> LoadedSample {
        do {
            if case .of(let sample) = try preparing(file) { return sample }
            throw Failure.run(
                "an image can't be decoded that another process could decode", at: .init(file.place),
                advice: "the data may have changed; the same command goes on from the last checkpoint")
        } catch {
            throw LoneFailure(error: error)
        }
    }

    /// - Parameters:
    ///   - assigned: how many samples of the epoch that ends went into buckets.
    ///   - waiting: how many wait there, of whatever epoch.
    private mutating func checkUse(_ assigned: Int, _ waiting: Int) throws {
        // Those that wait may be of use; but where two epochs' worth was not, they will not be either.
        let isInVain = failedInVain > 0 && failedInVain >= (waiting == 0 ? assigned : 2 * assigned)
        guard assigned == 0 && !hasBegunBefore || isInVain else { return }
        throw Failure.input(
            "no sample of a whole epoch can be used", at: place.map { .init($0) },
            expected: "images with captions",
            got: lostInVain.isEmpty ? "no samples at all" : lostInVain.description,
            advice: "look at the data with: cascade-adapt dataset inspect PATH")
    }
}
