import Failures
import Images
import Shards

/// Takes samples in the order of the stream and gives batches of one bucket each.
struct BucketQueues {
    /// Everything lost up to the last step, by reason.
    private(set) var drops = Drops()
    /// Pictures so far whose colour profiles were ignored.
    private(set) var colourProfiles = 0
    private let batchSize: Int
    /// Where failures say that the data is.
    private let place: String?
    private var state: LoaderState
    private var queues: [AspectBuckets.Bucket: [LoadedSample]] = [:]
    /// Whether a sample of the present epoch was of use. A run only stops where one was, for that filled a batch.
    private var isOfUse: Bool
    private var dropsOfEpoch = Drops()

    init(batchSize: Int, place: String?, from state: LoaderState) {
        self.batchSize = batchSize
        self.place = place
        self.state = state
        isOfUse = state != LoaderState()
    }

    /// - Returns: a batch, where the step completes one.
    /// - Throws: a failure of the input after an epoch of which nothing was of use.
    mutating func take(_ step: PreparedStep) throws -> PictureBatch? {
        count(step.lost)
        state.position = step.position
        switch step.outcome {
        case .endOfEpoch:
            try checkUse()
            isOfUse = false
            dropsOfEpoch = Drops()
        case .sample(.dropped(let reason), let turn, let isAgain):
            var lost = Drops()
            lost.addSample(reason)
            count(lost)
            if isAgain { state.waiting.removeAll { $0 == turn } }
        case .sample(.loaded(let sample), let turn, let isAgain):
            isOfUse = true
            if sample.hasColourProfile, !isAgain { colourProfiles += 1 }
            if !isAgain { state.waiting.append(turn) }
            return batch(completedBy: sample)
        }
        return nil
    }

    private mutating func batch(completedBy sample: LoadedSample) -> PictureBatch? {
        queues[sample.fit.bucket, default: []].append(sample)
        guard let full = queues[sample.fit.bucket], full.count >= batchSize else { return nil }
        queues[sample.fit.bucket] = nil
        let used = Set(full.map(\.turn))
        state.waiting.removeAll { used.contains($0) }
        return PictureBatch(samples: full, stateAfter: state)
    }

    private mutating func count(_ lost: Drops) {
        drops.add(lost)
        dropsOfEpoch.add(lost)
    }

    private func checkUse() throws {
        guard !isOfUse else { return }
        throw Failure.input(
            "no sample of a whole epoch can be used", at: place.map { .init($0) },
            expected: "pictures with captions",
            got: dropsOfEpoch.isEmpty ? "no samples at all" : dropsOfEpoch.description,
            advice: "look at the data with: cascade-adapt dataset inspect PATH")
    }
}
