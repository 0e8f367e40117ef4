import Failures
import Files
import Glibc
import TestSupport
import Testing

@testable import Shards

@Suite struct DamagedShards {
    @Test(arguments: [0, 1, 511, 512, 700, 1024, 5000, 9999, 12288, 20000])
    func `a shard that is cut off gives what lies before the cut`(length: Int) throws {
        let folder = try TemporaryFolder()
        let whole = try folder.samples("whole", count: 10)
        let all = samples(of: ShardReader(files: [whole]))
        #expect(all.count == 10)
        let cut = try folder.write("cut.tar", Array(readFile(whole).prefix(length)))
        let other = try folder.samples("other", count: 3)
        let reader = ShardReader(files: [cut, other])
        let read = samples(of: reader)
        // An image takes 512 + 1024 bytes, a caption 512 + 512: a sample 2560.
        let before = min(length / 2560, 10)
        #expect(read.prefix(before).map(\.members) == all.prefix(before).map(\.members))
        #expect(read.suffix(3).map(\.key) == ["other-0", "other-1", "other-2"])
        #expect(read.dropFirst(before).dropLast(3).allSatisfy { SampleReading().reasonToDrop($0) != nil })
        // A cut between two members looks like an end.
        #expect(
            (reader.drops.broken.isEmpty) == (length % 512 == 0 && [0, 1536].contains(length % 2560) && length > 0))
    }

    @Test func `a damaged header costs its member`() throws {
        let folder = try TemporaryFolder()
        let whole = try folder.samples("whole", count: 10)
        var bytes = try readFile(whole)
        bytes[3 * 2560 + 20] ^= 0xFF  // in the name of the fourth image: the header's sum is wrong
        let reader = ShardReader(files: [try folder.write("damaged.tar", bytes)])
        let read = samples(of: reader)
        #expect(
            read.filter { SampleReading().reasonToDrop($0) == nil }.map(\.key)
                == [0, 1, 2, 4, 5, 6, 7, 8, 9].map { "whole-\($0)" })
        #expect(reader.drops.broken == ["shard is damaged": 1])
    }

    @Test(arguments: ["gnu.tar", "pax.tar", "gnu.tar.gz", "gnu.tar.bz2", "gnu.tar.xz", "gnu.tar.zst"])
    func `damage anywhere is survived, and the next shard read`(name: String) throws {
        let folder = try TemporaryFolder()
        let goldens = String(#filePath.dropLast("ShardsTests/DamageTests.swift".count)) + "Goldens/shards/"
        let bytes = try readFile(goldens + name)
        let healthy = try folder.samples("healthy", count: 2)
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<100 {
            var damaged = bytes
            if generator.next(below: 4) == 0 {
                damaged.removeLast(generator.next(below: bytes.count))
            } else {
                for _ in 0...generator.next(below: 8) {
                    damaged[generator.next(below: min(bytes.count, 12000))] = UInt8(generator.next(below: 256))
                }
            }
            let shard = try folder.write("damaged.tar", damaged)
            let read = samples(of: ShardReader(files: [shard, healthy]))
            #expect(read.suffix(2).map(\.key) == ["healthy-0", "healthy-1"])
        }
    }

    /// The header says 4 GiB; reading must end where the file does, not begin with that much memory.
    @Test func `a member that declares more than there is costs no memory`() throws {
        let folder = try TemporaryFolder()
        var bytes = try readFile(folder.samples("whole", count: 1))
        bytes.replaceSubrange(124..<136, with: Array("40000000000\0".utf8))
        bytes.replaceSubrange(148..<156, with: repeatElement(UInt8(ascii: " "), count: 8))
        let sum = bytes[0..<512].reduce(0) { $0 + Int($1) }
        let digits = String(sum, radix: 8)
        bytes.replaceSubrange(
            148..<156, with: Array((String(repeating: "0", count: 6 - digits.count) + digits + "\0 ").utf8))
        let reader = ShardReader(files: [try folder.write("liar.tar", bytes)])
        #expect(samples(of: reader).isEmpty)
        #expect(reader.drops.broken["member is cut off or damaged"] == 1)
    }

    @Test func `a sample past the limit loses what is too much`() throws {
        let folder = try TemporaryFolder()
        // Three members of 100 MiB pass the 256 MiB of a sample.
        let member = [UInt8](repeating: 0, count: 100 << 20)
        let tar = try folder.tar("large.tar", [("a.jpg", member), ("a.b", member), ("a.c", member), ("a.txt", [65])])
        let reader = ShardReader(files: [tar])
        let read = samples(of: reader)
        #expect(read.map { $0.members.keys.sorted() } == [["b", "jpg", "txt"]])
        #expect(reader.drops.broken == ["sample is larger than 256 MiB": 1])
    }

    /// More bad shards than a process may have open files.
    @Test func `shards that are no tars are counted and closed`() throws {
        let folder = try TemporaryFolder()
        let junk = try folder.write("junk.tar", Array("this is no tar at all".utf8))
        let reader = ShardReader(
            files: Array(repeating: junk, count: 1500) + ["/no/such.tar", try folder.samples("good", count: 1)])
        #expect(samples(of: reader).map(\.key) == ["good-0"])
        #expect(reader.drops.broken.values.reduce(0, +) == 1501)
    }

    @Test func `writing where there is no room is a failure with the system's reason`() throws {
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let failure = #expect(throws: Failure.self) {
            let tar = try TarWriter(descriptor: descriptor, path: "/dev/full")
            try tar.add("a.txt", [UInt8](repeating: 1, count: 1 << 20))
            try tar.finish()
        }
        #expect(failure?.got?.contains("No space left on device") == true)
        #expect(throws: Failure.self) {
            let tar = try TarWriter(descriptor: -1, path: "nowhere")
            try tar.add("a.txt", [1])
            try tar.finish()
        }
    }

    /// What often lies in the place of a shard.
    static let mistaken: [(content: [UInt8], name: String)] = [
        (
            Array("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n".utf8),
            "a Git LFS pointer"
        ),
        (Array("<!DOCTYPE html><html><title>Sign in</title></html>".utf8), "an HTML or XML page"),
        ([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 600), "a zip archive"),
    ]

    @Test(arguments: mistaken)
    func `what lies in the place of a shard is named, here and on the web`(content: [UInt8], name: String) throws {
        let folder = try TemporaryFolder()
        let healthy = try folder.samples("healthy", count: 2)
        let server = try LoopbackServer { $0.reply(content) }
        let access = hastyAccess()
        let places = [
            [Shard(path: try folder.write("x.tar", content))],
            try resolveShards(["\(server.address)/x.tar"], access: access),
            try resolveShards(["pipe:cat '\(folder.path)/x.tar'"], access: access),
        ]
        for shards in places {
            let reader = ShardReader(shards: shards + [Shard(path: healthy)])
            #expect(samples(of: reader).count == 2)
            #expect(reader.drops.broken.count == 1)
            #expect(reader.drops.broken.keys.first?.hasPrefix("shard is \(name)") == true, "\(reader.drops)")
        }
    }
}
