import Images
import Shards
import Synchronization

/// A few samples of a dataset to look at, drawn at random with a seed, as their buckets will show them.
///
/// Which are drawn depends on the seed and on where the samples lie alone: those with the smallest of random numbers,
/// one to a place. Several threads may add to it.
public final class ContactSheet: Sendable {
    /// A sample on the sheet.
    public struct Cell: Sendable {
        /// `SHARD/KEY`, as messages name the sample.
        public let name: String
        /// The whole caption.
        public let caption: String
        /// Cut as its bucket has it, then scaled down into the cell.
        public let image: Image
        /// The bucket's size.
        public let width: Int
        /// The bucket's size.
        public let height: Int
        let place: SamplePlace
        let number: UInt64
    }

    /// The longer side of an image on the sheet is at most this.
    public let side: Int
    private let limit: Int
    private let seed: UInt64
    private let drawn = Mutex([Cell]())

    /// - Parameters:
    ///   - limit: samples on the sheet at most.
    ///   - side: the longer side of an image on it, at most, in pixels.
    ///   - seed: decides which samples are drawn.
    public init(limit: Int = 64, side: Int = 256, seed: UInt64 = 1) {
        precondition(limit > 0 && side > 0, "a sheet has room")
        self.limit = limit
        self.side = side
        self.seed = seed
    }

    /// The samples drawn, in the order of the data.
    public var cells: [Cell] { drawn.withLock(\.self).sorted { $0.place < $1.place } }

    /// Whether a sample would be drawn as things stand.
    func wants(_ place: SamplePlace) -> Bool {
        let number = number(of: place)
        return drawn.withLock { $0.count < limit || $0.contains { $0.number > number } }
    }

    /// Takes an image. It is scaled once, from the part that its bucket has of it straight to the cell.
    func add(
        _ image: Image, fitted fit: AspectBuckets.Fit, of sample: Sample, caption: String, at place: SamplePlace
    ) {
        let bucket = fit.bucket
        let part = image.cropped(
            x: fit.cropX * image.width / fit.resizedWidth, y: fit.cropY * image.height / fit.resizedHeight,
            width: max(1, bucket.width * image.width / fit.resizedWidth),
            height: max(1, bucket.height * image.height / fit.resizedHeight))
        let scale = min(1, Double(side) / Double(max(bucket.width, bucket.height)))
        let small = part.resized(
            width: max(1, Int(Double(bucket.width) * scale)), height: max(1, Int(Double(bucket.height) * scale)))
        let cell = Cell(
            name: sample.place, caption: caption, image: small, width: bucket.width, height: bucket.height,
            place: place, number: number(of: place))
        drawn.withLock { cells in
            cells.append(cell)
            guard cells.count > limit else { return }
            if let last = cells.indices.max(by: { cells[$0].number < cells[$1].number }) { cells.remove(at: last) }
        }
    }

    private func number(of place: SamplePlace) -> UInt64 {
        var generator = SeededGenerator(
            seed: seed ^ 0x73_6865_6574, stream: UInt64(place.shard) << 40 ^ UInt64(place.sample))
        return generator.next()
    }
}
