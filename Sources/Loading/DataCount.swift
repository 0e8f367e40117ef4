import Foundation
import Failures
import Images
import Shards
import Synchronization

/// What a run's data holds, as its loader will see it.
public struct DataCount: Sendable {
    public private(set) var samples = 0
    public private(set) var drops = Drops()
    /// Bytes of the samples that stay, as they lie in the shards.
    public private(set) var bytes = 0
    /// How many pictures were decoded to see whether they can be.
    public private(set) var decoded = 0

    /// Samples that stay.
    public var kept: Int { samples - drops.samples.values.reduce(0, +) }

    public init() {}

    /// Reads the shards, several at a time. A picture takes about a hundred times as long to decode as to read, so
    /// only the first of each shard are, `decodeLimit` in all.
    public init(_ shards: [Shard], reading: SampleReading, decodeLimit: Int = 2000) {
        let share = max(1, decodeLimit / max(1, shards.count))
        let counts = Mutex([DataCount]())
        DispatchQueue.concurrentPerform(iterations: shards.count) { index in
            let count = DataCount(shard: shards[index], reading: reading, decodeLimit: share)
            counts.withLock { $0.append(count) }
        }
        for count in counts.withLock(\.self) {
            samples += count.samples
            drops.add(count.drops)
            bytes += count.bytes
            decoded += count.decoded
        }
    }

    private init(shard: Shard, reading: SampleReading, decodeLimit: Int) {
        let reader = ShardReader(shards: [shard])
        while let sample = reader.next() {
            samples += 1
            if let defect = reading.reasonToDrop(sample) {
                drops.addSample(defect)
                continue
            }
            if decoded < decodeLimit, let picture = sample.picture {
                decoded += 1
                if (try? Picture(decoding: picture)) == nil {
                    drops.addSample(BatchLoader.undecodable)
                    continue
                }
            }
            bytes += sample.members.values.reduce(0) { $0 + $1.count }
        }
        drops.add(reader.drops)
    }
}
