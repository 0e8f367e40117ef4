import Images
import Shards

/// What a dataset holds, as a run's loader will see it.
///
/// Everything here is a sum or a choice that does not depend on the order in which samples were looked at.
public struct DatasetReport: Sendable {
    /// Shards that were read.
    public internal(set) var shards = 0
    /// Samples that were read, those that are left out among them.
    public internal(set) var samples = 0
    /// What is left out or could not be read, by reason.
    public internal(set) var drops = DroppedSamples()
    /// The first places of each reason in `drops`: samples, or shards where no sample can be named.
    public internal(set) var examples: [String: Examples] = [:]
    /// Samples whose key another of their shard had before.
    public internal(set) var repeatedKeys = 0

    // Of the samples that stay:
    /// Bytes as they lie in the shards.
    public internal(set) var bytes = 0
    /// How many images have each file format.
    public internal(set) var formats: [ImageFormat: Int] = [:]
    /// The images' sides in their files, upright.
    public internal(set) var sizes = ImageSizes()
    /// Images with an ICC profile, which is ignored.
    public internal(set) var colourProfiles = 0
    /// How long the captions are, and what they hold.
    public internal(set) var captions = CaptionLengths()
    /// How many images go to each bucket.
    public internal(set) var buckets: [AspectBuckets.Bucket: Int] = [:]
    /// Images that are smaller than their bucket on a side.
    public internal(set) var enlarged = 0

    /// How many images were decoded to see whether they can be.
    public internal(set) var decoded = 0
    /// What decoding an image takes at most, in bytes.
    public internal(set) var largestDecoding = 0

    /// Samples that stay.
    public var kept: Int { samples - drops.samples.values.reduce(0, +) }

    /// Nothing is looked at yet.
    public init() {}

    mutating func drop(_ reason: String, at place: SamplePlace, called name: String) {
        drops.addSample(reason)
        examples[reason, default: Examples()].add(name, at: place)
    }

    mutating func add(_ other: DatasetReport) {
        shards += other.shards
        samples += other.samples
        drops.add(other.drops)
        examples.merge(other.examples) { $0.merged(with: $1) }
        repeatedKeys += other.repeatedKeys
        bytes += other.bytes
        formats.merge(other.formats, uniquingKeysWith: +)
        sizes.add(other.sizes)
        colourProfiles += other.colourProfiles
        captions.add(other.captions)
        buckets.merge(other.buckets, uniquingKeysWith: +)
        enlarged += other.enlarged
        decoded += other.decoded
        largestDecoding = max(largestDecoding, other.largestDecoding)
    }
}

/// The first few of many places.
public struct Examples: Equatable, Sendable {
    private var found: [SamplePlace: String] = [:]
    private static let limit = 3

    /// `SHARD/KEY` or shard, in the order of the data; three at most.
    public var names: [String] { found.sorted { $0.key < $1.key }.map(\.value) }

    mutating func add(_ name: String, at place: SamplePlace) {
        found[place] = name
        if found.count > Self.limit, let last = found.keys.max() { found[last] = nil }
    }

    func merged(with other: Examples) -> Examples {
        var merged = self
        for (place, name) in other.found { merged.add(name, at: place) }
        return merged
    }
}

/// How large images are.
public struct ImageSizes: Equatable, Sendable {
    private var counts: [ImageSize: Int] = [:]

    /// No image yet.
    public init() {}

    /// How many different sizes there are.
    public var distinct: Int { counts.count }
    /// By the number of pixels, as the others.
    public var smallest: ImageSize? { counts.keys.min(by: Self.isBefore) }
    /// The middle of all images, not of the different sizes.
    public var median: ImageSize? { middle(of: counts, by: Self.isBefore) }
    /// By the number of pixels, as the others.
    public var largest: ImageSize? { counts.keys.max(by: Self.isBefore) }

    mutating func add(_ size: ImageSize) { counts[size, default: 0] += 1 }

    mutating func add(_ other: ImageSizes) { counts.merge(other.counts, uniquingKeysWith: +) }

    private static func isBefore(_ a: ImageSize, _ b: ImageSize) -> Bool {
        (a.width * a.height, a.width) < (b.width * b.height, b.width)
    }
}

/// How long captions are.
public struct CaptionLengths: Equatable, Sendable {
    /// Unicode scalars, as Python's `len` counts them.
    public internal(set) var characters = Tally()
    /// What white space separates.
    public internal(set) var words = Tally()
    /// With start and end; empty where no tokenizer was at hand.
    public internal(set) var tokens = Tally()
    /// Captions without a word.
    public internal(set) var empty = 0
    /// How many hold each of the texts that were looked for, where any does.
    public internal(set) var found: [String: Int] = [:]

    /// No caption yet.
    public init() {}

    mutating func add(_ caption: String, countTokens: ((String) -> Int)?, lookingFor texts: [String]) {
        characters.add(caption.unicodeScalars.count)
        let words = caption.unicodeScalars.split { $0.properties.isWhitespace }.count
        self.words.add(words)
        if words == 0 { empty += 1 }
        if let countTokens { tokens.add(countTokens(caption)) }
        for text in texts where isText(text, in: caption) { found[text, default: 0] += 1 }
    }

    mutating func add(_ other: CaptionLengths) {
        characters.add(other.characters)
        words.add(other.words)
        tokens.add(other.tokens)
        empty += other.empty
        found.merge(other.found, uniquingKeysWith: +)
    }
}

/// Whether a caption holds a text as a tokenizer would find it, which knows no capital letters.
func isText(_ text: String, in caption: String) -> Bool { caption.lowercased().contains(text.lowercased()) }
