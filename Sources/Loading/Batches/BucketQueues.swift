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
    private var queues: [AspectBuckets.Bucket: [LoadedSample]] = [:]
    /// What the queues hold, in the order in which it came.
    private var decoded: [(turn: SampleTurn, bucket: AspectBuckets.Bucket)] = []
    /// Where the loader stood once the last samples were decoded that had been assigned together.
    private var state: LoaderState?
    /// Whether the present epoch may have had samples of use before the loader began.
    private var hasBegunBefore: Bool
    /// What was lost, and how many samples that had been assigned, since one was of use.
    private var lostInVain = DroppedSamples()
    private var failedInVain = 0

    init(batchSize: Int, place: String?, from state: LoaderState) {
        self.batchSize = batchSize
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
        case .sample(.dropped(let reason), _, let after):
            var lost = DroppedSamples()
            lost.addSample(reason)
            drops.add(lost)
            lostInVain.add(lost)
            failedInVain += 1
            return batch(after: after)
        case .sample(.of(let sample), let isAgain, let after):
            (lostInVain, failedInVain) = (DroppedSamples(), 0)
            if sample.hasColourProfile, !isAgain { colourProfiles += 1 }
            queues[sample.fit.bucket, default: []].append(sample)
            decoded.append((sample.turn, sample.fit.bucket))
            return batch(after: after)
        }
    }

    /// - Parameter after: where the loader stands, once all samples are decoded that were assigned together.
    private mutating func batch(after: LoaderState?) -> ImageBatch? {
        guard let after else { return nil }
        state = after
        return next()
    }

    /// A batch that needs no further step.
    mutating func next() -> ImageBatch? {
        guard var after = state, let full = decoded.first(where: { queues[$0.bucket]?.count ?? 0 >= batchSize }),
            let samples = queues[full.bucket]
        else { return nil }
        let used = Array(samples.prefix(batchSize))
        queues[full.bucket] = Array(samples.dropFirst(batchSize))
        let turns = Set(used.map(\.turn))
        decoded.removeAll { turns.contains($0.turn) }
        after.decoded = decoded.map(\.turn)
        return ImageBatch(samples: used, stateAfter: after)
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
