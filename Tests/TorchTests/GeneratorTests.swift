import Glibc
import TestSupport
import Testing
import Torch

@Suite struct GeneratorTests {
    private func numbers(_ generator: Generator, _ count: Int = 16) throws -> [Double] {
        try generator.normal([count]).values()
    }

    @Test func `a seed means the same numbers on every device`() throws {
        let device = try testDevice()
        let (one, two) = (try Generator(seed: 7), try Generator(seed: 7))
        #expect(try numbers(one) == two.normal([16], device: device).values())
        #expect(try one.uniform([5]).values(as: Float.self) == two.uniform([5], device: device).values())
        #expect(try numbers(one) != numbers(Generator(seed: 8)))
    }

    @Test func `purposes and updates have numbers of their own`() throws {
        var seen: Set<[Double]> = []
        for (seed, stream, update) in [
            (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1), (2, 0, 0), (0, 1, 1), (0, 0, 2), (1, 0, -1), (1, 0, Int.max),
        ] {
            let generator = try Generator(seed: UInt64(seed), stream: UInt64(stream), update: update)
            let drawn = try numbers(generator)
            #expect(seen.insert(drawn).inserted, "\(seed) \(stream) \(update)")
            let again = try Generator(seed: UInt64(seed), stream: UInt64(stream), update: update)
            #expect(try numbers(again) == drawn)
        }
    }

    @Test func `a restored state goes on where it was`() throws {
        let generator = try Generator(seed: 3)
        _ = try numbers(generator, 5)
        let state = try generator.state()
        #expect(state.dtype == .uint8)
        let expected = try numbers(generator)
        let other = try Generator(seed: 99)
        try other.restore(Tensor(state.values(as: UInt8.self)))
        #expect(try numbers(other) == expected)
        try generator.restore(state)
        #expect(try numbers(generator) == expected)
    }

    @Test func `what is no state is refused and changes nothing`() throws {
        let (generator, twin) = (try Generator(seed: 3), try Generator(seed: 3))
        _ = try expectedFailure { try generator.restore(Tensor([UInt8](repeating: 1, count: 12))) }
        _ = try expectedFailure { try generator.restore(Tensor([Float(1)])) }
        #expect(try numbers(generator) == numbers(twin))
    }

    @Test func `numbers are distributed as they should be`() throws {
        let count = 40_000.0
        let generator = try Generator(seed: 5)
        let normal = try generator.normal([Int(count)])
        #expect(try abs(normal.mean().item()) < 5 / sqrt(count))
        #expect(try abs(normal.variance().item() - 1) < 5 * sqrt(2 / count))
        let uniform = try generator.uniform([Int(count)])
        #expect(try abs(uniform.mean().item() - 0.5) < 5 / sqrt(12 * count))
        #expect(try uniform.values(as: Double.self).allSatisfy { (0..<1).contains($0) })
    }

    @Test func `watching tells whether anything was drawn`() throws {
        let (generator, other) = (try Generator(seed: 3), try Generator(seed: 3))
        let quiet = try generator.watching { try numbers(other) }
        #expect(!quiet.hasDrawn)
        let drawn = try generator.watching { try numbers(generator) }
        #expect(drawn.hasDrawn && drawn.value == quiet.value)
        // One number, of which the generator makes several at once, is a draw too.
        #expect(try generator.watching { try generator.normal([1]) }.hasDrawn)
        #expect(try generator.watching { try generator.normal([1]) }.hasDrawn)
        #expect(try generator.watching { try generator.uniform() }.hasDrawn)
    }
}
