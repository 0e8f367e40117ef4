/// What was lost on the way, counted by reason.
public struct DroppedSamples: Equatable, Sendable, CustomStringConvertible {
    /// Samples that were read and not used.
    public private(set) var samples: [String: Int] = [:]
    /// Shards and members that could not be read.
    public private(set) var broken: [String: Int] = [:]

    /// Nothing is lost yet.
    public init() {}

    /// Whether nothing is lost.
    public var isEmpty: Bool { samples.isEmpty && broken.isEmpty }

    /// Counts one sample that is left out.
    public mutating func addSample(_ reason: String) { samples[reason, default: 0] += 1 }

    mutating func addBroken(_ reason: String) { broken[reason, default: 0] += 1 }

    /// Adds the counts of another part of the data.
    public mutating func add(_ other: DroppedSamples) {
        samples.merge(other.samples, uniquingKeysWith: +)
        broken.merge(other.broken, uniquingKeysWith: +)
    }

    /// What was lost after `earlier`, a count of the same that was taken before.
    func since(_ earlier: DroppedSamples) -> DroppedSamples {
        func rest(_ now: [String: Int], _ then: [String: Int]) -> [String: Int] {
            now.merging(then, uniquingKeysWith: -).filter { $0.value > 0 }
        }
        var difference = DroppedSamples()
        difference.samples = rest(samples, earlier.samples)
        difference.broken = rest(broken, earlier.broken)
        return difference
    }

    /// All counts as `12 no caption, 1 shard is damaged`, the most frequent first.
    public var description: String {
        (Array(samples) + Array(broken)).sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
