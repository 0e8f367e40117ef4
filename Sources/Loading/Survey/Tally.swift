/// How often each whole number came: what a person wants to know of many lengths.
public struct Tally: Equatable, Sendable {
    private var counts: [Int: Int] = [:]
    /// How many numbers came.
    public private(set) var count = 0

    /// No number yet.
    public init() {}

    /// Counts a number once more.
    public mutating func add(_ number: Int) {
        counts[number, default: 0] += 1
        count += 1
    }

    /// Adds the counts of another tally.
    public mutating func add(_ other: Tally) {
        counts.merge(other.counts, uniquingKeysWith: +)
        count += other.count
    }

    /// Nil where no number came.
    public var smallest: Int? { counts.keys.min() }
    /// Nil where no number came.
    public var largest: Int? { counts.keys.max() }

    /// The number in the middle; of two in the middle the smaller.
    public var median: Int? { middle(of: counts) { $0 < $1 } }

    /// Of all numbers that came; nil where none did.
    public var mean: Double? {
        count > 0 ? counts.reduce(0) { $0 + Double($1.key) * Double($1.value) } / Double(count) : nil
    }

    /// How many numbers were larger.
    public func count(above limit: Int) -> Int { counts.reduce(0) { $0 + ($1.key > limit ? $1.value : 0) } }
}

/// The element in the middle of elements that came so often each; of two in the middle the first.
func middle<Element>(of counts: [Element: Int], by isBefore: (Element, Element) -> Bool) -> Element? {
    var before = (counts.values.reduce(0, +) - 1) / 2
    for (element, count) in counts.sorted(by: { isBefore($0.key, $1.key) }) {
        if before < count { return element }
        before -= count
    }
    return nil
}
