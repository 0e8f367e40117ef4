import Failures
import Files
import JSON
import Testing

@testable import Shards

extension SampleStream {
    /// The next sample, whatever epochs end before it.
    func nextSample() throws -> StreamedSample {
        while true {
            if case .sample(let sample) = try #require(try next()) { return sample }
        }
    }

    /// The samples of one epoch.
    func epoch() throws -> [Sample] {
        var samples: [Sample] = []
        while case .sample(let sample) = try #require(try next()) { samples.append(sample.sample) }
        return samples
    }

    func keys(_ count: Int) throws -> [String] { try (0..<count).map { _ in try nextSample().sample.key } }
}

@Suite struct SampleStreams {
    /// Three shards of 7, 12 and 4 samples.
    private func shards(in folder: TemporaryFolder) throws -> [String] {
        try [("a", 7), ("b", 12), ("c", 4)].map { try folder.samples($0.0, count: $0.1) }
    }

    @Test func `each epoch hands out every sample once, in an order of its own`() throws {
        let folder = try TemporaryFolder()
        let stream = try SampleStream(files: shards(in: folder), options: .init(seed: 1, bufferSize: 5))
        let (first, second) = (try stream.epoch().map(\.key), try stream.epoch().map(\.key))
        #expect(first.count == 23 && Set(first).count == 23 && Set(second) == Set(first))
        #expect(first != second)
        #expect(stream.position.epoch == 2 && stream.position.buffer.isEmpty)
        #expect(stream.takeDrops().isEmpty)
    }

    @Test func `a seed repeats the order, another seed does not`() throws {
        let folder = try TemporaryFolder()
        let shards = try shards(in: folder)
        func order(_ seed: UInt64) throws -> [String] {
            try SampleStream(files: shards, options: .init(seed: seed, bufferSize: 8)).keys(46)
        }
        #expect(try order(3) == order(3))
        #expect(try order(3) != order(4))
    }

    @Test func `samples of different shards are mixed in the buffer`() throws {
        let folder = try TemporaryFolder()
        let stream = try SampleStream(files: shards(in: folder), options: .init(seed: 1, bufferSize: 23))
        let shards = try stream.epoch().map(\.shard)
        let changes = zip(shards, shards.dropFirst()).filter { $0 != $1 }.count
        #expect(changes > 5)
    }

    @Test func `a full buffer in bytes is drawn from early, and loses nothing`() throws {
        let folder = try TemporaryFolder()
        let options = SampleStream.Options(seed: 2, bufferSize: 100, bufferBytes: 1500)
        let stream = try SampleStream(files: shards(in: folder), options: options)
        #expect(try Set(stream.keys(23)).count == 23)
        let tiny = try SampleStream(
            files: shards(in: folder), options: .init(seed: 2, bufferSize: 0, bufferBytes: 0))
        #expect(try Set(tiny.keys(23)).count == 23)
    }

    @Test func `what is dropped is counted, each time once`() throws {
        let folder = try TemporaryFolder()
        let tar = try folder.tar(
            "mixed.tar",
            [
                ("1.jpg", [1]), ("1.txt", [65]), ("2.jpg", [1]), ("3.txt", [65]), ("4.jpg", [1]), ("4.txt", [0xFF]),
                ("5.jpg", [1]), ("5.jpg", [2]), ("5.txt", [66]),
            ])
        let stream = try SampleStream(files: [tar], options: .init(seed: 1))
        #expect(try Set(stream.keys(2)) == ["1", "5"])
        let drops = stream.takeDrops()
        #expect(drops.samples == ["no image": 1, "no caption": 1, "caption is not UTF-8": 1])
        #expect(drops.broken == ["member has the name of another": 1])
        #expect(
            drops.description
                == "1 caption is not UTF-8, 1 member has the name of another, 1 no caption, 1 no image")
        #expect(stream.takeDrops().isEmpty)
        _ = try stream.keys(1)
        #expect(stream.takeDrops() == drops)
    }

    @Test func `an epoch without samples ends at once`() throws {
        let folder = try TemporaryFolder()
        let tar = try folder.tar("bad.tar", [("1.jpg", [1]), ("2.jpg", [1]), ("3.txt", [65])])
        let stream = try SampleStream(files: [tar], options: .init(seed: 1))
        #expect(try stream.epoch().isEmpty && stream.epoch().isEmpty)
        #expect(stream.takeDrops().samples == ["no image": 2, "no caption": 4])
    }

    @Test func `a stream that is told to stop reads no further`() throws {
        let folder = try TemporaryFolder()
        let stream = try SampleStream(files: shards(in: folder), options: .init(seed: 1, bufferSize: 20))
        var asked = 0
        let step = try stream.next(isStopped: {
            asked += 1
            return asked > 5
        })
        #expect(step == nil)
        #expect(stream.position.buffer.count < 5)
    }

    @Test(arguments: [(5, 1), (5, 2), (5, 5), (3, 4), (1, 3)])
    func `ranks share an epoch, each sample to one of them`(shardCount: Int, ranks: Int) throws {
        let folder = try TemporaryFolder()
        let shards = try (0..<shardCount).map { try folder.samples("s\($0)", count: 3 + 2 * $0) }
        let whole = try SampleStream(files: shards, options: .init(seed: 4, bufferSize: 4))
        let streams = try (0..<ranks).map {
            try SampleStream(files: shards, options: .init(seed: 4, bufferSize: 4, rank: $0, ranks: ranks))
        }
        for _ in 0..<3 {
            let epoch = try whole.epoch()
            let shares = try streams.map { try $0.epoch() }
            let keys = shares.joined().map(\.key)
            #expect(keys.count == epoch.count && Set(keys) == Set(epoch.map(\.key)))
            #expect(shares.allSatisfy { !$0.isEmpty })
            if shardCount >= ranks {
                // No shard is read by two ranks.
                #expect(shares.map { Set($0.map(\.shard)).count }.reduce(0, +) == shardCount)
            }
        }
    }
}
