import Images
import Shards
import Synchronization

/// What was made of samples' images as they were fitted, kept in memory up to a number of bytes, for several threads.
///
/// Values are found by where the sample lies: its name is no key, for two samples of a shard may have one.
final class FittedCache<Value: Sendable>: Sendable {
    private struct Contents {
        var values: [SamplePlace: (fit: AspectBuckets.Fit, value: Value)] = [:]
        var room: Int
    }

    private let contents: Mutex<Contents>

    init(limit: Int) { contents = Mutex(Contents(room: limit)) }

    /// A sample's value; nil where it is not kept, or is of the image fitted otherwise.
    func value(_ place: SamplePlace, fitted fit: AspectBuckets.Fit) -> Value? {
        contents.withLock { $0.values[place].flatMap { $0.fit == fit ? $0.value : nil } }
    }

    /// Keeps a value while there is room.
    func keep(_ value: Value, bytes: Int, fitted fit: AspectBuckets.Fit, of place: SamplePlace) {
        contents.withLock { contents in
            guard bytes <= contents.room, contents.values[place] == nil else { return }
            contents.room -= bytes
            contents.values[place] = (fit, value)
        }
    }
}

/// What a loader keeps in memory for later epochs.
struct LoaderMemory: Sendable {
    let images: FittedCache<MaskedImage>
    let conditions: FittedCache<[UInt8]>

    /// - Parameter limit: bytes of each.
    init(limit: Int) {
        images = FittedCache(limit: limit)
        conditions = FittedCache(limit: limit)
    }
}
