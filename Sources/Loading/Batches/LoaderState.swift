import JSON
import Shards

/// Where a loader stands: enough to hand out the same batches from there on.
///
/// Samples wait in their buckets until there are enough for a batch, so the place in the stream alone is not enough.
public struct LoaderState: Equatable, Sendable {
    /// The place after the last sample that went into a bucket.
    var position = StreamPosition()
    /// The samples that wait in buckets to be decoded, in the order in which they came.
    var waiting: [SampleTurn] = []
    /// Those that were decoded for a batch which others of it could not fill, in the order in which they came.
    var decoded: [SampleTurn] = []
    /// The places of ``decoded`` among the samples that each was assigned with. By these several processes know who
    /// decodes what again, however many they are.
    var places: [Int] = []

    /// The beginning.
    public init() {}

    /// The seed that decides the order of the data; nil before it has begun.
    public var seed: UInt64? { position.origin?.seed }

    /// Lists of samples are flat lists of triples: epoch, shard, sample.
    public var json: JSON {
        func list(_ turns: [SampleTurn]) -> JSON {
            .array(turns.flatMap { [JSON($0.epoch), JSON($0.place.shard), JSON($0.place.sample)] })
        }
        return [
            "stream": position.json, "waiting": list(waiting), "decoded": list(decoded),
            "places": .array(places.map { JSON($0) }),
        ]
    }

    /// Nil for what is no state.
    public init?(_ json: JSON) {
        func list(_ name: String) -> [SampleTurn]? {
            guard let numbers = json[name]?.countValues, numbers.count % 3 == 0 else { return nil }
            return stride(from: 0, to: numbers.count, by: 3).map {
                SampleTurn(epoch: numbers[$0], place: SamplePlace(shard: numbers[$0 + 1], sample: numbers[$0 + 2]))
            }
        }
        guard let stream = json["stream"], let position = StreamPosition(stream), let waiting = list("waiting"),
            // Runs saved by versions before have nothing that was decoded and not used, or do not say its places.
            let decoded = json["decoded"] == nil ? [] : list("decoded"),
            let places = json["places"] == nil ? [] : json["places"]?.countValues
        else { return nil }
        self.position = position
        self.waiting = waiting
        self.decoded = decoded
        self.places = places
    }
}
