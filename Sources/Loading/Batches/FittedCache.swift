import Images
import Synchronization

/// What was made of samples' pictures as they were fitted, kept in memory up to a number of bytes, for several threads.
final class FittedCache<Value: Sendable>: Sendable {
    private struct Contents {
        var values: [String: (fit: AspectBuckets.Fit, value: Value)] = [:]
        var room: Int
    }

    private let contents: Mutex<Contents>

    init(limit: Int) { contents = Mutex(Contents(room: limit)) }

    /// The value under a name; nil where it is not kept, or is of the picture fitted otherwise.
    func value(_ name: String, fitted fit: AspectBuckets.Fit) -> Value? {
        contents.withLock { $0.values[name].flatMap { $0.fit == fit ? $0.value : nil } }
    }

    /// Keeps a value while there is room.
    func keep(_ value: Value, bytes: Int, fitted fit: AspectBuckets.Fit, as name: String) {
        contents.withLock { contents in
            guard bytes <= contents.room, contents.values[name] == nil else { return }
            contents.room -= bytes
            contents.values[name] = (fit, value)
        }
    }
}

/// What a loader keeps in memory for later epochs.
struct LoaderMemory: Sendable {
    let pictures: FittedCache<Picture>
    let conditions: FittedCache<[UInt8]>

    /// - Parameter limit: bytes of each.
    init(limit: Int) {
        pictures = FittedCache(limit: limit)
        conditions = FittedCache(limit: limit)
    }
}
