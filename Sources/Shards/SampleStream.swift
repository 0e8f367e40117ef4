import Failures

/// Where a stream of samples stands: enough to find the place again.
public struct StreamPosition: Codable, Equatable, Sendable {
    /// The epoch, from 0.
    public var epoch: Int
    /// How many samples it has handed out.
    public var handedOut: Int

    public init(epoch: Int = 0, handedOut: Int = 0) {
        self.epoch = epoch
        self.handedOut = handedOut
    }
}

/// The samples of a dataset in random order, epoch after epoch without end.
///
/// In each epoch the shards come in an order of their own, and their samples pass through a buffer from which one is
/// drawn at random. Seed and epoch alone decide the order, so that a stream started at a saved position goes on exactly
/// as the one that was interrupted would have. It belongs to one thread.
public final class SampleStream {
    public struct Options: Sendable {
        public var seed: UInt64
        /// How many samples wait in the buffer.
        public var bufferSize: Int
        /// How many bytes they may have together; a fuller buffer is drawn from early.
        public var bufferBytes: Int
        /// The reason for which a sample is left out, nil if it stays; it must not change between runs.
        public var reasonToDrop: @Sendable (Sample) -> String?

        public init(
            seed: UInt64, bufferSize: Int = 1000, bufferBytes: Int = 512 << 20,
            reasonToDrop: @escaping @Sendable (Sample) -> String? = SampleReading().reasonToDrop
        ) {
            self.seed = seed
            self.bufferSize = bufferSize
            self.bufferBytes = bufferBytes
            self.reasonToDrop = reasonToDrop
        }
    }

    public let shards: [Shard]
    public let options: Options
    /// The place after the last sample handed out.
    public private(set) var position: StreamPosition
    private var epoch: ShuffledEpoch
    private var earlierDrops = Drops()
    private var refused = 0
    private var isLastRefused = false

    /// A stream over `shards` (see ``resolveShards(_:)``) that goes on at `position`. The samples before it are read
    /// again, not decoded; a position past the end of its epoch is a failure, for then the data is not what it was.
    public init(shards: [Shard], options: Options, at position: StreamPosition = StreamPosition()) throws {
        guard position.epoch >= 0, position.handedOut >= 0 else {
            throw Failure.input("a position in the data that can't be", got: "\(position)")
        }
        self.shards = shards
        self.options = options
        self.position = position
        epoch = ShuffledEpoch(position.epoch, of: shards, options)
        for replayed in 0..<position.handedOut where epoch.next() == nil {
            throw Failure.input(
                "the data is not what it was when the run was saved",
                expected: "at least \(position.handedOut) samples in an epoch", got: "\(replayed)",
                advice: "give the shards that the run was started with")
        }
    }

    /// What was lost since the stream was made, by reason.
    public var drops: Drops {
        var all = earlierDrops
        all.add(epoch.drops)
        return all
    }

    /// The next sample. An epoch of which nothing was of use is a failure that counts the reasons.
    public func next() throws -> Sample {
        while true {
            isLastRefused = false
            if let sample = epoch.next() {
                position.handedOut += 1
                return sample
            }
            if position.handedOut == refused {
                throw Failure.input(
                    "no sample of a whole epoch can be used", at: shards.first.map { .init($0.name) },
                    expected: "pictures with captions",
                    got: epoch.drops.isEmpty ? "no samples at all" : epoch.drops.description,
                    advice: "look at the data with: cascade-adapt dataset inspect PATH")
            }
            earlierDrops = drops
            refused = 0
            position = StreamPosition(epoch: position.epoch + 1)
            epoch = ShuffledEpoch(position.epoch, of: shards, options)
        }
    }

    /// Tells that the sample just handed out is of no use (its picture can't be decoded, say), before the next is taken.
    /// It still counts in ``position``.
    public func refuse(_ reason: String) {
        epoch.refuse(reason)
        if !isLastRefused { refused += 1 }
        isLastRefused = true
    }
}

/// One epoch: the shards in random order, their samples through a buffer.
private struct ShuffledEpoch {
    var drops: Drops {
        var all = dropped
        all.add(reader.drops)
        return all
    }
    private var dropped = Drops()
    private let reader: ShardReader
    private let options: SampleStream.Options
    private var generator: SeededGenerator
    private var buffer: [Sample] = []
    private var bufferedBytes = 0
    private var isRead = false

    init(_ number: Int, of shards: [Shard], _ options: SampleStream.Options) {
        generator = SeededGenerator(seed: options.seed, stream: UInt64(number))
        reader = ShardReader(shards: generator.shuffled(shards))
        self.options = options
    }

    mutating func refuse(_ reason: String) { dropped.addSample(reason) }

    mutating func next() -> Sample? {
        while !isRead, buffer.isEmpty || buffer.count < options.bufferSize && bufferedBytes < options.bufferBytes {
            guard let sample = reader.next() else {
                isRead = true
                break
            }
            if let reason = options.reasonToDrop(sample) {
                dropped.addSample(reason)
            } else {
                buffer.append(sample)
                bufferedBytes += sample.size
            }
        }
        if buffer.isEmpty { return nil }
        buffer.swapAt(generator.next(below: buffer.count), buffer.count - 1)
        let drawn = buffer.removeLast()
        bufferedBytes -= drawn.size
        return drawn
    }
}

extension Sample {
    fileprivate var size: Int { members.values.reduce(0) { $0 + $1.count } }
}
