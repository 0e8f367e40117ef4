import Failures
import Images
import JSON
import Shards

/// Pictures of one size with their captions, as plain data that can cross threads.
public struct PictureBatch: Sendable {
    public let pictures: [Picture]
    public let captions: [String]
    /// What tells a sample from every other of the data, for caches.
    public let keys: [String]
    /// Where the loader stands once this batch has been used.
    public let stateAfter: LoaderState
}

/// Where a loader stands: enough to hand out the same batches from there on.
///
/// Samples wait in their buckets until a batch is full, so the place in the stream alone is not enough: the samples
/// that still wait are named by their own places.
public struct LoaderState: Equatable, Sendable {
    /// The place after the last sample read.
    var position = StreamPosition()
    /// The places of samples read and not yet handed out, in the order they were read.
    var waiting: [StreamPosition] = []

    public var json: JSON {
        func pair(_ position: StreamPosition) -> JSON {
            [.integer(Int64(position.epoch)), .integer(Int64(position.handedOut))]
        }
        return ["position": pair(position), "waiting": .array(waiting.map(pair))]
    }

    public init() {}

    public init?(_ json: JSON) {
        func position(_ json: JSON?) -> StreamPosition? {
            guard let epoch = json?[0]?.intValue, let handedOut = json?[1]?.intValue, epoch >= 0, handedOut >= 0 else {
                return nil
            }
            return StreamPosition(epoch: epoch, handedOut: handedOut)
        }
        guard let here = position(json["position"]), let list = json["waiting"]?.arrayValue else { return nil }
        self.position = here
        waiting = list.compactMap(position)
        guard waiting.count == list.count else { return nil }
    }
}

/// Reads, decodes and crops samples into batches by aspect-ratio bucket. It belongs to one thread.
public struct BatchLoader {
    /// The reason for which a sample is left out whose picture is broken.
    static let undecodable = "picture can't be decoded"

    private let stream: SampleStream
    private let reading: SampleReading
    private let buckets: AspectBuckets
    private let batchSize: Int
    private var cache: PictureCache?
    private var state: LoaderState
    /// The samples of the restored state that wait again as they come by.
    private var resumed: (until: StreamPosition, waiting: [StreamPosition])?
    private var queues: [AspectBuckets.Bucket: [Waiting]] = [:]

    private struct Waiting {
        let position: StreamPosition
        let picture: Picture
        let caption: String
        let key: String
    }

    /// - Parameters:
    ///   - cacheBytes: how many bytes of pictures to keep decoded and cropped for later epochs.
    ///   - state: where to go on; the samples before it are read again and not decoded.
    public init(
        shards: [Shard], options: SampleStream.Options, reading: SampleReading, buckets: AspectBuckets, batchSize: Int,
        cacheBytes: Int = 0,
        from state: LoaderState = LoaderState()
    ) throws {
        let start = state.waiting.first ?? state.position
        stream = try SampleStream(shards: shards, options: options, at: start)
        self.reading = reading
        self.buckets = buckets
        self.batchSize = batchSize
        cache = cacheBytes > 0 ? PictureCache(limit: cacheBytes) : nil
        self.state = state
        if state.waiting.isEmpty {
            resumed = nil
        } else {
            resumed = (state.position, state.waiting)
            self.state.waiting = []
        }
    }

    /// What was lost so far, by reason.
    public var drops: Drops { stream.drops }

    /// The next full batch of one bucket.
    public mutating func next() throws -> PictureBatch {
        while true {
            let sample = try stream.next()
            let position = StreamPosition(epoch: stream.position.epoch, handedOut: stream.position.handedOut - 1)
            if let (until, waiting) = resumed {
                if Self.isBefore(position, until) {
                    guard waiting.contains(position) else { continue }
                } else {
                    resumed = nil
                }
            }
            if resumed == nil { state.position = stream.position }
            guard let bytes = sample.picture, let caption = reading.caption(of: sample, draw: draw(position)) else {
                continue
            }
            guard let (picture, bucket) = fitted(bytes, sample.place) else {
                stream.refuse(Self.undecodable)
                continue
            }
            queues[bucket, default: []].append(
                Waiting(position: position, picture: picture, caption: caption, key: sample.place))
            state.waiting.append(position)
            guard let full = queues[bucket], full.count == batchSize else { continue }
            queues[bucket] = []
            let used = full.map(\.position)
            state.waiting.removeAll { used.contains($0) }
            return PictureBatch(
                pictures: full.map(\.picture), captions: full.map(\.caption), keys: full.map(\.key), stateAfter: state)
        }
    }

    /// The picture as its bucket wants it; nil where it can't be decoded.
    private mutating func fitted(_ bytes: [UInt8], _ place: String) -> (Picture, AspectBuckets.Bucket)? {
        if let cached = cache?[place] { return cached }
        guard let picture = try? Picture(decoding: bytes, name: place) else { return nil }
        let fit = buckets.fit(width: picture.width, height: picture.height)
        let fitted = (picture.fitted(fit), fit.bucket)
        cache?.keep(fitted, as: place)
        return fitted
    }

    /// What chance decides of a sample, by its place alone, so that a resumed run decides alike.
    private func draw(_ position: StreamPosition) -> Double {
        let place = UInt64(position.epoch) << 40 ^ UInt64(position.handedOut)
        var generator = SeededGenerator(seed: stream.options.seed ^ 0x63_6170_7469_6f6e, stream: place)
        return Double.random(in: 0..<1, using: &generator)
    }

    private static func isBefore(_ a: StreamPosition, _ b: StreamPosition) -> Bool {
        (a.epoch, a.handedOut) < (b.epoch, b.handedOut)
    }
}

/// Pictures kept in memory as they were cropped, up to a number of bytes.
private struct PictureCache {
    private var pictures: [String: (Picture, AspectBuckets.Bucket)] = [:]
    private var room: Int

    init(limit: Int) { room = limit }

    subscript(key: String) -> (Picture, AspectBuckets.Bucket)? { pictures[key] }

    mutating func keep(_ fitted: (Picture, AspectBuckets.Bucket), as key: String) {
        let bytes = fitted.0.pixels.count
        guard bytes <= room, pictures[key] == nil else { return }
        room -= bytes
        pictures[key] = fitted
    }
}
