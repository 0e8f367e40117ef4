/// A small generator of random numbers whose sequence never changes between machines or versions: xoshiro256**, its
/// state filled by splitmix64 (Blackman and Vigna, prng.di.unimi.it).
public struct SeededGenerator: RandomNumberGenerator, Equatable, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// A sequence of its own for each pair of seed and stream (an epoch, for instance).
    public init(seed: UInt64, stream: UInt64 = 0) {
        // The seed is mixed before the stream is added, so that (1, 2) and (2, 1) differ.
        var seeds = SplitMix64(state: seed)
        var mix = SplitMix64(state: seeds.next() &+ stream)
        state = (mix.next(), mix.next(), mix.next(), mix.next())
    }

    /// A sequence from a state; not all four may be 0.
    init(state: (UInt64, UInt64, UInt64, UInt64)) { self.state = state }

    /// The sequence that goes on where another stood; nil for what is no state.
    init?(words: [UInt64]) {
        guard words.count == 4, words.contains(where: { $0 != 0 }) else { return nil }
        state = (words[0], words[1], words[2], words[3])
    }

    /// The state, to go on from.
    var words: [UInt64] { [state.0, state.1, state.2, state.3] }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        let result = rotatedLeft(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotatedLeft(state.3, 45)
        return result
    }

    /// A number of 0..<bound, each equally likely.
    public mutating func next(below bound: Int) -> Int {
        precondition(bound > 0, "a bound is above 0")
        let bound = UInt64(bound)
        // Numbers past the last whole multiple of the bound would favour the small results.
        let remainder = (UInt64.max % bound + 1) % bound
        var number = next()
        while number > UInt64.max - remainder { number = next() }
        return Int(number % bound)
    }

    /// A number of 0..<1, a multiple of 2⁻⁵³.
    public mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// The elements in random order (Fisher and Yates). Unlike `shuffled(using:)` it can't change with the standard
    /// library.
    public mutating func shuffled<Element>(_ elements: [Element]) -> [Element] {
        var elements = elements
        for last in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(last, next(below: last + 1)) }
        return elements
    }

    /// Whether both go on with the same numbers.
    public static func == (left: SeededGenerator, right: SeededGenerator) -> Bool { left.state == right.state }
}

/// The generator that spreads one number over a whole state.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

private func rotatedLeft(_ number: UInt64, _ places: UInt64) -> UInt64 {
    number << places | number >> (64 - places)
}
