import JSON
import Testing

@testable import Shards

@Suite struct Generators {
    private func numbers(_ name: String) throws -> [UInt64] {
        let path =
            String(#filePath.dropLast("ShardsTests/SeededGeneratorTests.swift".count))
            + "Goldens/shards/generators.json"
        let texts = try #require(try JSON.read(path)[name]?.arrayValue)
        return try texts.map { try #require($0.stringValue.flatMap { UInt64($0) }) }
    }

    @Test func `the sequences are those of their definitions`() throws {
        var mix = SplitMix64(state: 1_234_567)
        for number in try numbers("splitmix64 of 1234567") { #expect(mix.next() == number) }
        var generator = SeededGenerator(state: (1, 2, 3, 4))
        for number in try numbers("xoshiro256 of 1 2 3 4") { #expect(generator.next() == number) }
    }

    @Test func `seeds and streams each begin another sequence`() {
        let firsts = (UInt64(0)..<10).flatMap { seed in
            (UInt64(0)..<10).map { stream in
                var generator = SeededGenerator(seed: seed, stream: stream)
                return generator.next()
            }
        }
        #expect(Set(firsts).count == 100)
    }

    @Test func `numbers below a bound are all of them, evenly`() {
        var generator = SeededGenerator(seed: 7)
        var counts = [0, 0, 0, 0, 0]
        for _ in 0..<10000 { counts[generator.next(below: 5)] += 1 }
        // Four standard deviations of a binomial count.
        #expect(counts.allSatisfy { abs($0 - 2000) < 160 })
        #expect((0..<100).allSatisfy { _ in generator.next(below: 1) == 0 })
        #expect((0..<100).allSatisfy { _ in generator.next(below: .max) >= 0 })
    }

    @Test func `shuffling keeps every element`() {
        var generator = SeededGenerator(seed: 7)
        let shuffled = generator.shuffled(Array(0..<50))
        #expect(shuffled.sorted() == Array(0..<50))
        #expect(shuffled != Array(0..<50))
        #expect(generator.shuffled([Int]()).isEmpty)
    }
}
