import Failures
import Files
import Glibc
import TestSupport
import Testing

@testable import Shards

@Suite struct CommandShards {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func reader(_ command: String) throws -> ShardReader {
        ShardReader(shards: try resolveShards(["pipe:\(command)"]))
    }

    @Test func `what a command writes is read`() throws {
        for name in ["a-0", "a-1"] { try folder.samples(name, count: 3) }
        let reader = try reader("cat \(folder.path)/a-{0..1}.tar")
        #expect(samples(of: reader).map(\.key) == ["a-0-0", "a-0-1", "a-0-2", "a-1-0", "a-1-1", "a-1-2"])
        #expect(reader.drops.isEmpty)
        let packed = try self.reader("tar -cf - -C \(folder.path) a-0.tar | gzip | cat")
        #expect(samples(of: packed).map(\.key) == ["a-0"])
    }

    @Test(arguments: [
        ("false", 0, "the command ended with status 1"), ("cat TAR; exit 7", 3, "the command ended with status 7"),
        ("kill -9 $$", 0, "the command was ended by signal 9"),
        ("/no/such/program", 0, "the command ended with status 127"),
        ("cat TAR; kill -TERM $$", 3, "the command was ended by signal 15"),
    ])
    func `a command that fails is counted with how it ended`(command: String, count: Int, reason: String) throws {
        let tar = try folder.samples("a", count: 3)
        let whole = command.split(separator: "TAR", omittingEmptySubsequences: false).joined(separator: tar)
        let reader = try reader(whole)
        #expect(samples(of: reader).count == count)
        #expect(reader.drops.broken == ["shard can't be read: \(reason)": 1])
    }

    @Test(arguments: ["true", "echo no tar", "yes", "cat /dev/zero | tr '\\0' x"])
    func `a command that writes no tar is a broken shard`(command: String) throws {
        let reader = try reader(command)
        #expect(samples(of: reader).isEmpty)
        #expect(reader.drops.broken.values.reduce(0, +) == 1)
    }

    @Test func `a command has nothing to read`() throws {
        let tar = try folder.samples("a", count: 1)
        #expect(samples(of: try reader("cat; cat \(tar)")).count == 1)
    }

    /// The processes' numbers are written by themselves; a process that was reaped is known to nobody.
    @Test(arguments: ["exec sleep 1000", "trap '' TERM; sleep 1000 & echo $! > PID2; wait; sleep 1000"])
    func `a command is ended and reaped when its reader goes`(rest: String) throws {
        let tar = try folder.samples("a", count: 3)
        let note = "\(folder.path)/pid"
        let script = rest.split(separator: "PID2", omittingEmptySubsequences: false).joined(separator: "\(note)2")
        var reader: ShardReader? = try reader("echo $$ > \(note); cat \(tar); \(script)")
        #expect(reader?.next()?.key == "a-0")
        reader = nil
        let text = String(decoding: try readFile(note), as: UTF8.self)
        let process = try #require(Int32(text.filter(\.isNumber)))
        #expect(kill(process, 0) == -1 && errno == ESRCH)
    }

    @Test func `what an interrupted reader did not read is not waited for`() throws {
        let tar = try folder.samples("a", count: 3)
        for _ in 0..<20 {
            let reader = try reader("while true; do cat \(tar); done")
            #expect(reader.next()?.key == "a-0")
        }
    }
}

@Suite struct ReadingAhead {
    /// Counts up, byte after byte, and fails or ends after so many.
    private final class Counting: ByteSource {
        let read: Counter
        let length: Int
        let failure: Failure?
        private var done = 0

        init(_ read: Counter = Counter(), length: Int = .max, failure: Failure? = nil) {
            (self.read, self.length, self.failure) = (read, length, failure)
        }

        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            let count = min(buffer.count, 97, length - done)
            for place in 0..<count { buffer[place] = UInt8(truncatingIfNeeded: done + place) }
            if count == 0, let failure { throw failure }
            done += count
            for _ in 0..<count { _ = read.next() }
            return count
        }
    }

    private func all(_ source: ReadAhead, piece: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try withUnsafeTemporaryAllocation(byteCount: piece, alignment: 1) { buffer in
            while case let count = try source.read(into: buffer), count > 0 { bytes += buffer[..<count] }
        }
        return bytes
    }

    @Test(arguments: [1, 7, 100, 1000, 1 << 20])
    func `all bytes come in order, whatever the ring's size`(size: Int) throws {
        let source = try ReadAhead(bytes: size) { _ in Counting(length: 10_000) }
        #expect(try all(source, piece: 61) == (0..<10_000).map { UInt8(truncatingIfNeeded: $0) })
        #expect(source.isComplete)
    }

    @Test func `no more is read ahead than the ring holds`() throws {
        let read = Counter()
        var source: ReadAhead? = try ReadAhead(bytes: 1000) { _ in Counting(read) }
        var byte: [UInt8] = [0]
        for _ in 0..<500 { #expect(try byte.withUnsafeMutableBytes { try source?.read(into: $0) } == 1) }
        source = nil
        #expect(read.next() <= 1500)
    }

    @Test func `a failure comes behind the bytes before it`() throws {
        let failure = Failure.input("over")
        let source = try ReadAhead(bytes: 64) { _ in Counting(length: 200, failure: failure) }
        var count = 0
        var byte: [UInt8] = [0]
        let thrown = #expect(throws: Failure.self) {
            while try byte.withUnsafeMutableBytes({ try source.read(into: $0) }) > 0 { count += 1 }
        }
        #expect(count == 200 && thrown == failure)
        let closed = try ReadAhead(bytes: 64) { _ in throw failure }
        #expect(throws: failure) { try all(closed, piece: 8) }
    }
}
