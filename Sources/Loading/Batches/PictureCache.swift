import Images
import Synchronization

/// Pictures kept in memory as they were fitted, up to a number of bytes, for several threads.
final class PictureCache: Sendable {
    private struct Contents {
        var pictures: [String: (fit: AspectBuckets.Fit, picture: Picture)] = [:]
        var room: Int
    }

    private let contents: Mutex<Contents>

    init(limit: Int) { contents = Mutex(Contents(room: limit)) }

    /// The picture under a name; nil where it is not kept, or fitted otherwise.
    func picture(_ name: String, fitted fit: AspectBuckets.Fit) -> Picture? {
        contents.withLock { $0.pictures[name].flatMap { $0.fit == fit ? $0.picture : nil } }
    }

    /// Keeps a picture while there is room.
    func keep(_ picture: Picture, fitted fit: AspectBuckets.Fit, as name: String) {
        contents.withLock { contents in
            let bytes = picture.pixels.count
            guard bytes <= contents.room, contents.pictures[name] == nil else { return }
            contents.room -= bytes
            contents.pictures[name] = (fit, picture)
        }
    }
}
