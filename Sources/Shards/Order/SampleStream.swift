/// A sample as a stream hands it out.
public struct StreamedSample: Sendable {
    /// All members of the sample, in memory.
    public let sample: Sample
    /// In which epoch it comes, and where it lies.
    public let turn: SampleTurn
    /// Whether it was handed out before the position at which the stream was restored.
    public let isAgain: Bool
}

/// The samples of a dataset in random order, epoch after epoch without end.
///
/// In each epoch the shards come in an order of their own, and their samples pass through a buffer from which one is
/// drawn at random. Seed and epoch alone decide the order. A stream made at a saved position goes on exactly as the one
/// that was interrupted would have, and reads for it only the shards that hold waiting samples, and the present one up
/// to its place. It belongs to one thread.
public final class SampleStream {
    /// What decides the order of the samples, and which of them are left out.
    public struct Options: Sendable {
        /// Decides the order of every epoch.
        public var seed: UInt64
        /// How many samples wait in the buffer.
        public var bufferSize: Int
        /// How many bytes they may have together; a fuller buffer is drawn from early.
        public var bufferBytes: Int
        /// Which of several processes this is, from 0, and of how many: each gets samples of its own.
        public var rank: Int
        /// How many processes share the data; 1 takes all samples.
        public var ranks: Int
        /// The reason for which a sample is left out, nil if it stays; it must not change between runs.
        public var reasonToDrop: @Sendable (Sample) -> String?

        /// - Parameters:
        ///   - seed: decides the order of every epoch.
        ///   - bufferSize: samples that wait in the buffer.
        ///   - bufferBytes: bytes that they may have together, 512 MiB where nothing is said.
        ///   - rank: which of the processes this is, from 0.
        ///   - ranks: how many processes share the data.
        ///   - reasonToDrop: why a sample is left out, nil if it stays; by default one without image or caption is.
        public init(
            seed: UInt64, bufferSize: Int = 1000, bufferBytes: Int = 512 << 20, rank: Int = 0, ranks: Int = 1,
            reasonToDrop: @escaping @Sendable (Sample) -> String? = SampleReading().reasonToDrop
        ) {
            precondition(ranks > 0 && (0..<ranks).contains(rank), "a rank is one of several")
            self.seed = seed
            self.bufferSize = bufferSize
            self.bufferBytes = bufferBytes
            self.rank = rank
            self.ranks = ranks
            self.reasonToDrop = reasonToDrop
        }
    }

    /// What comes next.
    public enum Step: Sendable {
        /// The next sample of the epoch, or one that is handed out again.
        case sample(StreamedSample)
        /// An epoch is over, by its number.
        case endOfEpoch(Int)
    }

    /// All shards of the dataset, in the order in which positions count them.
    public let shards: [Shard]
    /// As they were given; a saved position holds for these alone.
    public let options: Options
    /// The place after the last step.
    public private(set) var position: StreamPosition
    private var order: EpochOrder
    private var generator: SeededGenerator
    private var reader: ShardReader?
    /// The reader before, which may have begun the shard that follows.
    private var earlier: ShardReader?
    /// The samples in `position.buffer`, one beside the other.
    private var buffer: [Sample] = []
    private var bufferedBytes = 0
    /// What is handed out again, the next at the end; nil until the waiting samples are read.
    private var again: [StreamedSample]?
    private let turnsAgain: [SampleTurn]
    private var drops = DroppedSamples()
    private var countedDrops = DroppedSamples()

    /// A stream over `shards` (see ``resolveShards(_:access:)``) that goes on at `position`; nothing is read yet.
    ///
    /// - Parameter again: samples handed out before that position that shall come first once more.
    /// - Throws: a failure of the input where the position is of other data or another order.
    public init(
        shards: [Shard], options: Options, at position: StreamPosition = StreamPosition(), again: [SampleTurn] = []
    ) throws {
        let origin = StreamOrigin(shards, options)
        if let saved = position.origin { try origin.check(saved) }
        for place in position.buffer + again.map(\.place) where place.shard >= shards.count {
            throw StreamOrigin.differs(expected: "more than \(place.shard) shards", got: "\(shards.count)")
        }
        self.shards = shards
        self.options = options
        self.position = position
        self.position.origin = origin
        turnsAgain = again
        (order, generator) = Self.begin(position.epoch, shards, options)
        if let saved = position.generator { generator = saved }
        guard position.shard <= order.shards.count else {
            throw StreamOrigin.differs(expected: "\(position.shard) shards", got: "\(order.shards.count)")
        }
    }

    /// The next step; nil once `isStopped` says so, which is asked between two samples that are read.
    ///
    /// - Throws: a failure of the input where a sample that the position names is no longer there; a failure of the run
    ///   where the network failed for longer than the shards' client puts up with; `CancellationError` where that gave
    ///   up waiting. After these the stream is of no more use.
    public func next(isStopped: () -> Bool = { false }) throws -> Step? {
        if again == nil { again = try readWaiting(isStopped) }
        if isStopped() { return nil }
        if let first = again?.popLast() { return .sample(first) }
        while buffer.isEmpty || buffer.count < options.bufferSize && bufferedBytes < options.bufferBytes {
            if isStopped() { return nil }
            guard let (sample, place) = try read() else { break }
            if let reason = options.reasonToDrop(sample) {
                drops.addSample(reason)
            } else {
                keep(sample)
                position.buffer.append(place)
            }
        }
        if buffer.isEmpty { return endEpoch() }
        let drawn = generator.next(below: buffer.count)
        buffer.swapAt(drawn, buffer.count - 1)
        position.buffer.swapAt(drawn, buffer.count - 1)
        let sample = buffer.removeLast()
        bufferedBytes -= sample.size
        let turn = SampleTurn(epoch: position.epoch, place: position.buffer.removeLast())
        position.generator = generator
        return .sample(StreamedSample(sample: sample, turn: turn, isAgain: false))
    }

    /// What was lost since this was last asked, by reason. What is read again at the start is not counted again.
    public func takeDrops() -> DroppedSamples {
        defer { drops = DroppedSamples() }
        return drops
    }

    // MARK: An epoch

    private static func begin(_ epoch: Int, _ shards: [Shard], _ options: Options) -> (EpochOrder, SeededGenerator) {
        var generator = SeededGenerator(seed: options.seed, stream: UInt64(epoch))
        let order = EpochOrder(
            shardCount: shards.count, rank: options.rank, ranks: options.ranks, from: &generator)
        return (order, generator)
    }

    private func endEpoch() -> Step {
        let ended = position.epoch
        (order, generator) = Self.begin(ended + 1, shards, options)
        position.epoch = ended + 1
        position.shard = 0
        position.sample = 0
        position.generator = generator
        return .endOfEpoch(ended)
    }

    /// The next sample of the epoch that is this rank's, in the order of the shards; nil after the last.
    private func read() throws -> (Sample, SamplePlace)? {
        while position.shard < order.shards.count {
            let shard = order.shards[position.shard]
            let following = order.shards.dropFirst(position.shard + 1).first.map { shards[$0] }
            let reader =
                self.reader
                ?? ShardReader(
                    shards: [shards[shard]], outages: .end, after: earlier, before: following)
            self.reader = reader
            let sample = reader.next()
            if reader.isGivenUp { throw CancellationError() }
            if let outage = reader.outage { throw outage }
            if reader.drops != countedDrops {
                drops.add(reader.drops.since(countedDrops))
                countedDrops = reader.drops
            }
            guard let sample else {
                earlier = reader
                self.reader = nil
                countedDrops = DroppedSamples()
                position.shard += 1
                position.sample = 0
                continue
            }
            let number = position.sample
            position.sample += 1
            if order.isOurs(number, at: position.shard) { return (sample, SamplePlace(shard: shard, sample: number)) }
        }
        return nil
    }

    private func keep(_ sample: Sample) {
        buffer.append(sample)
        bufferedBytes += sample.size
    }

    // MARK: Going on

    /// Reads the samples that wait into the buffer, and the present shard up to its place.
    /// - Returns: the samples to be handed out again, the first at the end; nil if stopped.
    private func readWaiting(_ isStopped: () -> Bool) throws -> [StreamedSample]? {
        var wanted: [Int: Set<Int>] = [:]
        for place in position.buffer + turnsAgain.map(\.place) { wanted[place.shard, default: []].insert(place.sample) }
        var found: [SamplePlace: Sample] = [:]
        /// Passes over the first samples of a shard, and takes up what is wanted of them.
        func pass(_ count: Int, of shard: Int) throws -> ShardReader {
            let reader = ShardReader(shards: [shards[shard]], outages: .end)
            let numbers = wanted.removeValue(forKey: shard) ?? []
            for number in 0..<count {
                if isStopped() { break }
                guard let sample = reader.next() else {
                    if reader.isGivenUp { throw CancellationError() }
                    if let missing = reader.outage ?? reader.unreachable { throw missing }
                    throw StreamOrigin.differs(
                        .init(shards[shard].name), expected: "at least \(count) samples",
                        got: reader.drops.isEmpty ? "\(number)" : "\(number), and \(reader.drops)")
                }
                if numbers.contains(number) { found[SamplePlace(shard: shard, sample: number)] = sample }
            }
            // An earlier epoch may have left samples waiting that come later in the shard.
            let later = numbers.filter { $0 >= count }
            if !later.isEmpty { wanted[shard] = later }
            return reader
        }
        if position.shard < order.shards.count, position.sample > 0 {
            reader = try pass(position.sample, of: order.shards[position.shard])
            countedDrops = reader?.drops ?? DroppedSamples()
        }
        for (shard, numbers) in wanted.sorted(by: { $0.key < $1.key }) {
            _ = try pass((numbers.max() ?? 0) + 1, of: shard)
        }
        if isStopped() { return nil }
        for place in position.buffer {
            if let sample = found[place] { keep(sample) }
        }
        return turnsAgain.reversed().compactMap { turn in
            found[turn.place].map { StreamedSample(sample: $0, turn: turn, isAgain: true) }
        }
    }
}

extension Sample {
    /// Bytes of all members.
    public var size: Int { members.values.reduce(0) { $0 + $1.count } }
}
