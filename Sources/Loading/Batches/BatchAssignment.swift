import Images
import Shards

/// Assigns samples to batches before they are decoded: those of one bucket in the order in which the stream has them,
/// as many as a batch has.
///
/// So who decodes a sample, and when, has no part in which batch it comes into. It belongs to the thread that reads.
struct BatchAssignment {
    private let batchSize: Int
    private let preparation: SamplePreparation
    /// Decides what is random.
    private let seed: UInt64
    /// The state at which the loader began, but for what was decoded.
    private let start: LoaderState
    /// What was decoded before that state and not used, with its places: it comes again first, and does not wait for
    /// others.
    private var decoded: [SampleTurn: Int]
    private var queues: [AspectBuckets.Bucket: [(sample: FittedSample, isAgain: Bool)]] = [:]
    /// What the queues hold, in the order in which it came.
    private var waiting: [SampleTurn] = []
    /// How many samples of the present epoch went into buckets.
    private var assigned = 0

    init(batchSize: Int, _ preparation: SamplePreparation, seed: UInt64, from state: LoaderState) {
        self.batchSize = batchSize
        self.preparation = preparation
        self.seed = seed
        let places = state.places.count == state.decoded.count ? state.places : Array(state.decoded.indices)
        decoded = Dictionary(zip(state.decoded, places)) { first, _ in first }
        var start = state
        (start.decoded, start.places) = ([], [])
        self.start = start
    }

    /// What there is to do after a step of the stream: nothing, or the samples of a batch, or the end of an epoch.
    /// - Parameters:
    ///   - position: where the stream stands after the step.
    ///   - lost: what the stream lost since the step before; what is left out here is added.
    mutating func steps(
        after step: SampleStream.Step, position: StreamPosition, lost: inout DroppedSamples
    ) -> [ReadStep.Step] {
        switch step {
        case .endOfEpoch:
            defer { assigned = 0 }
            return [.endOfEpoch(assigned: assigned, waiting: waiting.count)]
        case .sample(let streamed):
            switch preparation.fitted(streamed.sample, streamed.turn, seed: seed) {
            case .dropped(let reason):
                lost.addSample(reason)
                return []
            case .of(let sample):
                assigned += 1
                if streamed.isAgain, let place = decoded.removeValue(forKey: streamed.turn) {
                    return [.sample(sample, place: place, isAgain: true, after: decoded.isEmpty ? start : nil)]
                }
                waiting.append(streamed.turn)
                return batch(completedBy: sample, isAgain: streamed.isAgain, position)
            }
        }
    }

    private mutating func batch(
        completedBy sample: FittedSample, isAgain: Bool, _ position: StreamPosition
    ) -> [ReadStep.Step] {
        let bucket = sample.fit.bucket
        queues[bucket, default: []].append((sample, isAgain))
        guard let full = queues[bucket], full.count >= batchSize else { return [] }
        queues[bucket] = nil
        let used = Set(full.map(\.sample.turn))
        waiting.removeAll { used.contains($0) }
        var after = LoaderState()
        after.position = position
        after.waiting = waiting
        return full.enumerated().map { index, entry in
            .sample(
                entry.sample, place: index, isAgain: entry.isAgain, after: index == full.count - 1 ? after : nil)
        }
    }
}
