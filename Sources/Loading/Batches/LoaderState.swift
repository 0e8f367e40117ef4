import JSON
import Shards

/// Where a loader stands: enough to hand out the same batches from there on.
///
/// Samples wait in their buckets until a batch is full, so the place in the stream alone is not enough.
public struct LoaderState: Equatable, Sendable {
    /// The place after the last sample that went into a bucket.
    var position = StreamPosition()
    /// The samples in buckets that are not handed out, in the order in which they came.
    var waiting: [SampleTurn] = []

    /// The beginning.
    public init() {}

    /// The seed that decides the order of the data; nil before it has begun.
    public var seed: UInt64? { position.origin?.seed }

    /// What waits is one flat list of triples: epoch, shard, sample.
    public var json: JSON {
        [
            "stream": position.json,
            "waiting": .array(
                waiting.flatMap { [JSON($0.epoch), JSON($0.place.shard), JSON($0.place.sample)] }),
        ]
    }

    /// Nil for what is no state.
    public init?(_ json: JSON) {
        guard let stream = json["stream"], let position = StreamPosition(stream),
            let numbers = json["waiting"]?.countValues, numbers.count % 3 == 0
        else { return nil }
        self.position = position
        waiting = stride(from: 0, to: numbers.count, by: 3).map {
            SampleTurn(epoch: numbers[$0], place: SamplePlace(shard: numbers[$0 + 1], sample: numbers[$0 + 2]))
        }
    }
}
