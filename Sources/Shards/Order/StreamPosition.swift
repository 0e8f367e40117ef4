import JSON

/// Where a sample lies: its shard by the place in the list of shards, and its number within the shard, both from 0.
public struct SamplePlace: Hashable, Comparable, Sendable {
    /// The shard's index in the list of shards, from 0.
    public let shard: Int
    /// The sample's number within the shard, from 0.
    public let sample: Int

    /// - Parameters:
    ///   - shard: index in the list of shards, from 0.
    ///   - sample: number within the shard, from 0.
    public init(shard: Int, sample: Int) {
        self.shard = shard
        self.sample = sample
    }

    /// The order in which the shards have them.
    public static func < (a: SamplePlace, b: SamplePlace) -> Bool { (a.shard, a.sample) < (b.shard, b.sample) }
}

/// One appearance of a sample: what lies at a place comes again in every epoch.
public struct SampleTurn: Hashable, Sendable {
    /// From 0.
    public let epoch: Int
    /// Where the sample lies.
    public let place: SamplePlace

    /// - Parameters:
    ///   - epoch: from 0.
    ///   - place: where the sample lies.
    public init(epoch: Int, place: SamplePlace) {
        self.epoch = epoch
        self.place = place
    }
}

/// Where a stream of samples stands: enough to go on from there without reading what lies before.
public struct StreamPosition: Equatable, Sendable {
    /// The data and the options that decide its order; nil for a stream that has not begun.
    public internal(set) var origin: StreamOrigin?
    /// The epoch, from 0.
    public internal(set) var epoch = 0
    /// The shard being read, by its place in the epoch's order; past the last once all are read.
    public internal(set) var shard = 0
    /// The number of the next sample within that shard.
    public internal(set) var sample = 0
    /// What draws from the buffer; nil where the epoch has not begun.
    var generator: SeededGenerator?
    /// The samples that wait to be drawn, in the buffer's order.
    public internal(set) var buffer: [SamplePlace] = []

    /// The beginning.
    public init() {}
}

extension StreamPosition {
    /// The buffer is one flat list of pairs, shard and sample.
    public var json: JSON {
        [
            "origin": origin?.json ?? .null,
            "epoch": JSON(epoch), "shard": JSON(shard), "sample": JSON(sample),
            "generator": .array((generator?.words ?? []).map { .integer(Int(truncatingIfNeeded: $0)) }),
            "buffer": .array(buffer.flatMap { [JSON($0.shard), JSON($0.sample)] }),
        ]
    }

    /// Nil for what is no position. That it fits the data is for ``SampleStream`` to say.
    public init?(_ json: JSON) {
        guard let origin = json["origin"], let epoch = json["epoch"]?.countValue,
            let shard = json["shard"]?.countValue, let sample = json["sample"]?.countValue,
            let words = json["generator"]?.arrayValue, let buffer = json["buffer"]?.countValues, buffer.count % 2 == 0
        else { return nil }
        if !origin.isNull {
            guard let read = StreamOrigin(origin) else { return nil }
            self.origin = read
        }
        if !words.isEmpty {
            let numbers = words.compactMap { word -> UInt64? in
                if case .integer(let value) = word { UInt64(truncatingIfNeeded: value) } else { nil }
            }
            guard numbers.count == words.count, let read = SeededGenerator(words: numbers) else { return nil }
            generator = read
        }
        self.epoch = epoch
        self.shard = shard
        self.sample = sample
        self.buffer = stride(from: 0, to: buffer.count, by: 2).map {
            SamplePlace(shard: buffer[$0], sample: buffer[$0 + 1])
        }
    }
}

extension JSON {
    /// A whole number.
    package init(_ number: Int) { self = .integer(number) }

    /// A whole number from 0, of no more than 48 bits, so that nothing counted on from it overflows.
    package var countValue: Int? { intValue.flatMap { (0..<1 << 48).contains($0) ? $0 : nil } }

    /// A list of such numbers; nil where anything else is among them.
    package var countValues: [Int]? {
        guard let list = arrayValue else { return nil }
        let numbers = list.compactMap(\.countValue)
        return numbers.count == list.count ? numbers : nil
    }
}
