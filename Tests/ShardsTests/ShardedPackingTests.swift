import Failures
import Files
import Glibc
import Testing

@testable import Shards

@Suite struct ShardedPacking {
    private func folder(_ count: Int, imageBytes: Int = 700) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for number in 100..<100 + count {
            try folder.write("in/\(number).jpg", [UInt8](repeating: 1, count: imageBytes))
            try folder.write("in/\(number).txt", Array("\(number)".utf8))
        }
        return folder
    }

    private func pack(_ folder: TemporaryFolder, _ name: String, _ limits: ShardLimits) throws -> PackReport {
        try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/\(name)", limits: limits) { bytes, path in
            if bytes.first == 0 { throw Failure.input("broken", at: .init(path)) }
        }
    }

    @Test func `samples fill one shard after the other`() throws {
        let folder = try folder(7)
        let report = try pack(folder, "out.tar", ShardLimits(samples: 3))
        #expect(report.shards.map(\.samples) == [3, 3, 1] && report.samples == 7)
        #expect(try Folder.names(folder.path) == ["in", "out-000000.tar", "out-000001.tar", "out-000002.tar"])
        let specification = report.specification(of: "\(folder.path)/out.tar", ShardLimits(samples: 3))
        #expect(specification == "\(folder.path)/out-{000000..000002}.tar")
        let read = samples(of: ShardReader(shards: try resolveShards([specification])))
        #expect(read.map(\.key) == (100..<107).map(String.init))
        #expect(try report.shards.map { try readFile($0.path).count } == report.shards.map(\.bytes))
    }

    @Test func `no shard is larger than asked for, but where one sample is`() throws {
        let folder = try folder(40)
        let limit = 30720
        let report = try pack(folder, "out.tar", ShardLimits(bytes: limit))
        // A sample takes two headers, two blocks of image and one of text: 2560 bytes; a shard's end 1024.
        #expect(report.shards.map(\.samples) == [11, 11, 11, 7])
        #expect(report.shards.allSatisfy { $0.bytes <= limit })
        let large = try pack(folder, "large.tar", ShardLimits(bytes: 1))
        #expect(large.shards.map(\.samples) == [Int](repeating: 1, count: 40))
    }

    @Test func `the same folder gives the same shards`() throws {
        let shards = try (0..<2).map { _ in
            let folder = try folder(5)
            return try pack(folder, "out.tar", ShardLimits(samples: 2)).shards.map { try readFile($0.path) }
        }
        #expect(shards[0] == shards[1] && shards[0].count == 3)
    }

    @Test func `shards of an earlier set are not mixed in`() throws {
        let folder = try folder(3)
        try folder.write("out-000007.tar", [42])
        let failure = #expect(throws: Failure.self) { try pack(folder, "out.tar", ShardLimits(samples: 1)) }
        #expect(failure?.blame == .input && failure?.place?.file == "\(folder.path)/out-000007.tar")
        #expect(try Folder.names(folder.path) == ["in", "out-000007.tar"])
        // Other names are nobody's business, and one tar is no set.
        for name in ["out-1.tar", "out-00000x.tar", "shout-000000.tar"] { try folder.write(name, [42]) }
        #expect(try pack(folder, "out.tar", ShardLimits()).shards.map(\.path) == ["\(folder.path)/out.tar"])
        #expect(
            try pack(folder, "other", ShardLimits(samples: 9)).shards.map(\.path) == ["\(folder.path)/other-000000"])
    }

    @Test func `what fails leaves nothing`() throws {
        let folder = try folder(3)
        for number in 100..<103 { try folder.write("in/\(number).jpg", [0]) }
        #expect(throws: Failure.self) { try pack(folder, "out.tar", ShardLimits(samples: 1)) }
        #expect(throws: Failure.self) { try pack(folder, "none/out.tar", ShardLimits(samples: 1)) }
        #expect(try Folder.names(folder.path) == ["in"])

        // A folder in the way of the third shard: the first two go again.
        for number in 100..<103 { try folder.write("in/\(number).jpg", [1]) }
        let writer = try ShardedWriter(at: "\(folder.path)/out.tar", limits: ShardLimits(samples: 1))
        for name in ["a", "b", "c"] { try writer.add([("\(name).jpg", [1])]) }
        try Folder.make("\(folder.path)/out-000002.tar")
        let failure = #expect(throws: Failure.self) { try writer.finish() }
        #expect(failure?.place?.file == "\(folder.path)/out-000002.tar")
        #expect(try Folder.names(folder.path).filter { $0.hasPrefix("out-") && !$0.hasSuffix("2.tar") } == [])
    }
}
