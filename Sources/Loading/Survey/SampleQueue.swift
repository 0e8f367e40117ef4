import Shards
import Synchronization

/// A sample on its way from its shard to the thread that looks at it.
struct QueuedSample: Sendable {
    let sample: Sample
    let place: SamplePlace
    /// Why it is left out as far as that can be told without its image.
    let reasonToDrop: String?
    /// Whether it is among the first of its shard whose images are decoded.
    let isDecoded: Bool
}

/// Hands the samples of shards to several threads.
///
/// There are lanes, each of which reads a shard at a time. A thread keeps to a lane of its own while that has samples,
/// and then helps with another: many shards are read side by side, and one shard still keeps all threads busy.
final class SampleQueue: Sendable {
    private let shards: [Shard]
    private let reading: SampleReading
    private let decodesPerShard: Int
    private let taken = Atomic<Int>(0)
    private let finished = Atomic<Int>(0)
    private let lanes: [Lane]

    /// - Parameter decodesPerShard: how many samples of each shard are to be decoded, the first that are not dropped.
    init(_ shards: [Shard], lanes: Int, reading: SampleReading, decodesPerShard: Int) {
        self.shards = shards
        self.reading = reading
        self.decodesPerShard = decodesPerShard
        self.lanes = (0..<max(1, min(lanes, shards.count))).map { _ in Lane() }
    }

    /// The next sample for a thread; nil when there is none left for it.
    func next(for thread: Int) -> QueuedSample? {
        for offset in 0..<lanes.count {
            if let sample = lanes[(thread + offset) % lanes.count].next(self) { return sample }
        }
        return nil
    }

    /// What the shards themselves told: samples, shards, broken members. Complete when every thread was given nil.
    var report: DatasetReport {
        var sum = DatasetReport()
        for lane in lanes { sum.add(lane.report) }
        return sum
    }

    /// How many shards were read to their end so far.
    var shardsRead: Int { finished.load(ordering: .relaxed) }

    private func takeShard() -> (index: Int, shard: Shard)? {
        let index = taken.add(1, ordering: .relaxed).oldValue
        return index < shards.count ? (index, shards[index]) : nil
    }

    /// Reads a shard at a time.
    private final class Lane: Sendable {
        private let state = Mutex(State())

        private struct State {
            var open: OpenShard?
            var report = DatasetReport()
        }

        var report: DatasetReport { state.withLock { $0.report } }

        func next(_ queue: SampleQueue) -> QueuedSample? {
            state.withLock { state in
                while true {
                    if state.open == nil { state.open = queue.takeShard().map(OpenShard.init) }
                    guard let shard = state.open else { return nil }
                    if let queued = shard.next(queue, &state.report) { return queued }
                    state.open = nil
                }
            }
        }
    }

    /// A shard that is being read.
    private final class OpenShard {
        private let index: Int
        private let name: String
        private let reader: ShardReader
        private var samples = 0
        private var decodes = 0
        /// Hashes of the keys' bytes, of 64 bits: few enough to be kept, and too many for two keys to share one.
        private var keys: Set<Int> = []

        init(index: Int, shard: Shard) {
            self.index = index
            name = shard.name
            reader = ShardReader(shards: [shard])
        }

        /// The next sample; nil after the last.
        func next(_ queue: SampleQueue, _ report: inout DatasetReport) -> QueuedSample? {
            let place = SamplePlace(shard: index, sample: samples)
            guard let sample = reader.next() else {
                report.shards += 1
                queue.finished.add(1, ordering: .relaxed)
                report.drops.add(reader.drops)
                for reason in reader.drops.broken.keys {
                    report.examples[reason, default: Examples()].add(name, at: place)
                }
                return nil
            }
            let reason = queue.reading.reasonToDrop(sample)
            let isDecoded = reason == nil && decodes < queue.decodesPerShard
            samples += 1
            if isDecoded { decodes += 1 }
            report.samples += 1
            if !keys.insert(Array(sample.key.utf8).hashValue).inserted { report.repeatedKeys += 1 }
            return QueuedSample(sample: sample, place: place, reasonToDrop: reason, isDecoded: isDecoded)
        }
    }
}
