import Failures
import Glibc
import JSON
import Testing

@testable import Shards

@Suite struct StreamPositions {
    /// Shards of different lengths, with samples that are dropped and members that are broken between the good ones.
    private func shards(in folder: TemporaryFolder) throws -> [String] {
        try [7, 0, 12, 4, 9].enumerated().map { shard, count in
            try folder.tar(
                "\(shard).tar",
                (0..<count).flatMap { number -> [(name: String, bytes: [UInt8])] in
                    let key = "\(shard)-\(number)"
                    let image = [UInt8](repeating: 1, count: 100 + 50 * (number % 5))
                    if number % 4 == 3 { return [(name: key + ".jpg", bytes: image)] }
                    let twice = number % 5 == 2 ? [(name: key + ".jpg", bytes: image)] : []
                    return [(name: key + ".jpg", bytes: image)] + twice + [(name: key + ".txt", bytes: [65])]
                })
        }
    }

    /// A position as it comes back from a file.
    private func read(_ position: StreamPosition) throws -> StreamPosition {
        try #require(StreamPosition(JSON.parse(position.json.text(), file: "position")))
    }

    private func next(_ count: Int, of stream: SampleStream) throws -> [SampleTurn] {
        try (0..<count).map { _ in try stream.nextSample().turn }
    }

    /// A buffer's samples and bytes, of how many ranks this is the last, and how many places are tried.
    @Test(arguments: [
        (6, 1 << 20, 1, 50), (100, 700, 1, 20), (1000, 1 << 20, 1, 10), (3, 1 << 20, 2, 10), (5, 1 << 20, 7, 5),
    ])
    func `wherever it is restored, a stream has the same next 100 samples`(
        size: Int, bytes: Int, ranks: Int, places: Int
    ) throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        let options = SampleStream.Options(
            seed: 9, bufferSize: size, bufferBytes: bytes, rank: ranks - 1, ranks: ranks)
        let stream = try SampleStream(files: shards, options: options)
        var positions = [StreamPosition()]
        let turns = try (0..<300).map { _ in
            let turn = try stream.nextSample().turn
            positions.append(stream.position)
            return turn
        }
        var generator = SeededGenerator(seed: UInt64(size))
        for _ in 0..<places {
            let place = generator.next(below: 200)
            let restored = try SampleStream(files: shards, options: options, at: read(positions[place]))
            #expect(try next(100, of: restored) == Array(turns[place..<place + 100]))
            #expect(restored.position == positions[place + 100])
        }
    }

    @Test func `samples handed out before come first again, from other epochs too`() throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        let options = SampleStream.Options(seed: 2, bufferSize: 4)
        let stream = try SampleStream(files: shards, options: options)
        let before = try (0..<60).map { _ in try stream.nextSample() }
        let chosen = [3, 29, 30, 55, 59].map { before[$0] }
        let restored = try SampleStream(
            files: shards, options: options, at: stream.position, again: chosen.map(\.turn))
        for sample in chosen {
            let again = try restored.nextSample()
            #expect(again.turn == sample.turn && again.sample == sample.sample && again.isAgain)
        }
        #expect(restored.position == stream.position)
        #expect(try next(40, of: restored) == next(40, of: stream))
    }

    @Test func `only the shards that hold waiting samples are read again`() throws {
        let folder = try TemporaryFolder()
        let shards = try (0..<6).map { try folder.samples("s\($0)", count: 10) }
        let options = SampleStream.Options(seed: 5, bufferSize: 4)
        let stream = try SampleStream(files: shards, options: options)
        _ = try next(45, of: stream)
        let position = stream.position
        let expected = try next(8, of: stream)
        let present = order(options, count: 6).shards[position.shard]
        let needed = Set(position.buffer.map(\.shard)).union([present])
        let last = order(options, count: 6).shards[5]
        try #require(needed.count <= 3)
        for (index, shard) in shards.enumerated() where !needed.contains(index) && index != last { unlink(shard) }
        let restored = try SampleStream(files: shards, options: options, at: position)
        #expect(try next(8, of: restored) == expected)
        #expect(restored.takeDrops().isEmpty)
    }

    /// The order of the first epoch.
    private func order(_ options: SampleStream.Options, count: Int) -> EpochOrder {
        var generator = SeededGenerator(seed: options.seed)
        return EpochOrder(shardCount: count, rank: 0, ranks: 1, from: &generator)
    }

    @Test func `what was lost before the position is not counted again`() throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        let options = SampleStream.Options(seed: 9, bufferSize: 3)
        let stream = try SampleStream(files: shards, options: options)
        _ = try next(14, of: stream)
        var drops = stream.takeDrops()
        let restored = try SampleStream(files: shards, options: options, at: stream.position)
        _ = try restored.epoch()
        drops.add(restored.takeDrops())
        let whole = try SampleStream(files: shards, options: options)
        _ = try whole.epoch()
        #expect(drops == whole.takeDrops())
    }

    @Test func `a position of other data or another order is refused`() throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        let stream = try SampleStream(files: shards, options: .init(seed: 1, bufferSize: 6))
        _ = try next(10, of: stream)
        func refusal(_ files: [String], _ options: SampleStream.Options) throws -> Failure {
            try #require(throws: Failure.self) { try SampleStream(files: files, options: options, at: stream.position) }
        }
        let failures = [
            try refusal(shards.reversed(), .init(seed: 1, bufferSize: 6)),
            try refusal(Array(shards.dropLast()), .init(seed: 1, bufferSize: 6)),
            try refusal(shards, .init(seed: 2, bufferSize: 6)),
            try refusal(shards, .init(seed: 1, bufferSize: 7)),
            try refusal(shards, .init(seed: 1, bufferSize: 6, bufferBytes: 8)),
            try refusal(shards, .init(seed: 1, bufferSize: 6, rank: 1, ranks: 2)),
        ]
        for failure in failures {
            #expect(failure.blame == .input && failure.what.hasPrefix("the data is not what it was"), "\(failure)")
        }
        #expect(failures[3].expected?.contains("6 samples") == true)
    }

    @Test func `a waiting sample that is no longer there is a failure that names the shard`() throws {
        let folder = try TemporaryFolder()
        let shards = [try folder.samples("a", count: 30), try folder.samples("b", count: 30)]
        let options = SampleStream.Options(seed: 1, bufferSize: 10)
        let stream = try SampleStream(files: shards, options: options)
        _ = try next(12, of: stream)
        let place = try #require(stream.position.buffer.first)
        try folder.samples(place.shard == 0 ? "a" : "b", count: 2)
        let restored = try SampleStream(files: shards, options: options, at: stream.position)
        let failure = #expect(throws: Failure.self) { try restored.next() }
        #expect(failure?.blame == .input && failure?.place?.file == shards[place.shard])
        #expect(failure?.got == "2")
        unlink(shards[place.shard])
        let gone = try SampleStream(files: shards, options: options, at: stream.position)
        #expect(throws: Failure.self) { try gone.next() }
    }

    @Test func `JSON that is no position is told from one`() throws {
        let folder = try TemporaryFolder()
        let stream = try SampleStream(files: shards(in: folder), options: .init(seed: .max, bufferSize: 6))
        _ = try next(10, of: stream)
        #expect(try read(stream.position) == stream.position)
        #expect(try read(StreamPosition()) == StreamPosition())
        let good = try #require(stream.position.json.objectValue)
        let changes: [(String, JSON)] = [
            ("epoch", -1), ("epoch", .integer(.max)), ("shard", 1.5), ("sample", .integer(.max)), ("sample", "1"),
            ("generator", [0, 0, 0, 0]), ("generator", [1, 2, 3]), ("generator", [1, 2, 3, "4"]), ("buffer", [1]),
            ("buffer", [1, -1]), ("buffer", [[1, 2]]), ("buffer", .null), ("origin", [:]), ("origin", 1),
        ]
        for (key, value) in changes {
            var object = good
            object[key] = value
            #expect(StreamPosition(.object(object)) == nil, "\(key): \(value.text())")
        }
        #expect(StreamPosition([:]) == nil && StreamPosition(.null) == nil)
    }
}
