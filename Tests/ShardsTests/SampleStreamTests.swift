import Failures
import Files
import JSON
import Testing

@testable import Shards

@Suite struct SampleStreams {
    /// Three shards of 7, 12 and 4 samples.
    private func shards(in folder: TemporaryFolder) throws -> [String] {
        try [("a", 7), ("b", 12), ("c", 4)].map { try folder.samples($0.0, count: $0.1) }
    }

    private func keys(_ stream: SampleStream, _ count: Int) throws -> [String] {
        try (0..<count).map { _ in try stream.next().key }
    }

    @Test func `each epoch hands out every sample once, in an order of its own`() throws {
        let folder = try TemporaryFolder()
        let stream = try SampleStream(files: shards(in: folder), options: .init(seed: 1, bufferSize: 5))
        let (first, second) = (try keys(stream, 23), try keys(stream, 23))
        #expect(Set(first).count == 23 && Set(second) == Set(first))
        #expect(first != second)
        #expect(stream.position == StreamPosition(epoch: 1, handedOut: 23))
        #expect(stream.drops.isEmpty)
    }

    @Test func `a seed repeats the order, another seed does not`() throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        func order(_ seed: UInt64) throws -> [String] {
            try keys(SampleStream(files: shards, options: .init(seed: seed, bufferSize: 8)), 46)
        }
        #expect(try order(3) == order(3))
        #expect(try order(3) != order(4))
    }

    @Test func `samples of different shards are mixed in the buffer`() throws {
        let folder = try TemporaryFolder()
        let stream = try SampleStream(files: shards(in: folder), options: .init(seed: 1, bufferSize: 23))
        let shards = try (0..<23).map { _ in try stream.next().shard }
        let changes = zip(shards, shards.dropFirst()).filter { $0 != $1 }.count
        #expect(changes > 5)
    }

    @Test(arguments: [0, 1, 5, 22, 23, 24, 46, 50])
    func `a stream goes on where another stopped`(count: Int) throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        let options = SampleStream.Options(seed: 9, bufferSize: 6)
        let stream = try SampleStream(files: shards, options: options)
        _ = try keys(stream, count)
        let restored = try SampleStream(files: shards, options: options, at: stream.position)
        #expect(try keys(restored, 40) == keys(stream, 40))
        #expect(restored.position == stream.position)
    }

    @Test func `a full buffer in bytes is drawn from early, and loses nothing`() throws {
        let folder = try TemporaryFolder()
        let options = SampleStream.Options(seed: 2, bufferSize: 100, bufferBytes: 1500)
        let stream = try SampleStream(files: shards(in: folder), options: options)
        #expect(try Set(keys(stream, 23)).count == 23)
        let tiny = try SampleStream(
            files: shards(in: folder), options: .init(seed: 2, bufferSize: 0, bufferBytes: 0))
        #expect(try Set(keys(tiny, 23)).count == 23)
    }

    @Test func `what is dropped is counted, and does not move the position`() throws {
        let folder = try TemporaryFolder()
        let tar = try folder.tar(
            "mixed.tar",
            [
                ("1.jpg", [1]), ("1.txt", [65]), ("2.jpg", [1]), ("3.txt", [65]), ("4.jpg", [1]), ("4.txt", [0xFF]),
                ("5.jpg", [1]), ("5.txt", [66]),
            ])
        let stream = try SampleStream(files: [tar], options: .init(seed: 1))
        #expect(try Set(keys(stream, 2)) == ["1", "5"])
        #expect(stream.drops.samples == ["no picture": 1, "no caption": 1, "caption is not UTF-8": 1])
        #expect(stream.position == StreamPosition(epoch: 0, handedOut: 2))
        stream.refuse("broken picture")
        #expect(stream.drops.samples["broken picture"] == 1)
        #expect(stream.drops.description == "1 broken picture, 1 caption is not UTF-8, 1 no caption, 1 no picture")
        _ = try stream.next()
        #expect(stream.drops.samples["no picture"] == 2)
    }

    @Test func `an epoch without a usable sample is a failure that counts the reasons`() throws {
        let folder = try TemporaryFolder()
        let tar = try folder.tar("bad.tar", [("1.jpg", [1]), ("2.jpg", [1]), ("3.txt", [65])])
        let stream = try SampleStream(files: [tar], options: .init(seed: 1))
        let failure = #expect(throws: Failure.self) { try stream.next() }
        #expect(failure?.blame == .input)
        #expect(failure?.got == "2 no caption, 1 no picture")

        let empty = try SampleStream(files: [folder.tar("empty.tar", [])], options: .init(seed: 1))
        #expect(throws: Failure.self) { try empty.next() }
    }

    @Test func `an epoch of which every sample was refused is a failure, a single good one is not`() throws {
        let folder = try TemporaryFolder()
        let options = SampleStream.Options(seed: 1, bufferSize: 3)
        let stream = try SampleStream(files: shards(in: folder), options: options)
        for number in 0..<23 {
            _ = try stream.next()
            if number != 11 { stream.refuse("broken picture") }
        }
        for _ in 0..<23 {
            _ = try stream.next()
            stream.refuse("broken picture")
            stream.refuse("and too small")
        }
        let failure = #expect(throws: Failure.self) { try stream.next() }
        #expect(failure?.got == "23 and too small, 23 broken picture")
        #expect(stream.drops.samples["broken picture"] == 45)
    }

    @Test func `a position that the data can't have is a failure`() throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        for position in [StreamPosition(epoch: 0, handedOut: 24), .init(epoch: -1), .init(handedOut: -1)] {
            let failure = #expect(throws: Failure.self) {
                try SampleStream(files: shards, options: .init(seed: 1), at: position)
            }
            #expect(failure?.blame == .input)
        }
    }
}

@Suite struct Generators {
    private func numbers(_ name: String) throws -> [UInt64] {
        let path =
            String(#filePath.dropLast("ShardsTests/SampleStreamTests.swift".count)) + "Goldens/shards/generators.json"
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
