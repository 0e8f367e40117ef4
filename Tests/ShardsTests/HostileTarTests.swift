import Files
import Glibc
import Testing

@testable import Shards

func removeFile(_ path: String) throws { try #require(unlink(path) == 0) }

/// A tar put together by hand, for what no tool writes.
private struct RawTar {
    var bytes: [UInt8] = []

    /// - Parameters:
    ///   - type: `0` file, `1` hard link, `2` symbolic link, `x` pax header, `L` long name, `S` sparse.
    ///   - declared: the size in the header, where it is another than the content's.
    mutating func add(
        _ name: String, _ content: [UInt8] = [], type: Character = "0", link: String = "", declared: UInt64? = nil,
        sparse: [(offset: UInt64, count: UInt64)] = [], realSize: UInt64 = 0
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at place: Int) {
            header.replaceSubrange(place..<place + text.utf8.count, with: Array(text.utf8))
        }
        func octal(_ number: UInt64) -> String {
            let digits = String(number, radix: 8)
            return String(repeating: "0", count: 11 - digits.count) + digits
        }
        put(String(name.prefix(100)), at: 0)
        put("0000644", at: 100)
        let size = declared ?? UInt64(content.count)
        if size < 1 << 33 {
            put(octal(size), at: 124)
        } else {
            // GNU's binary size.
            header[124] = 0x80
            for place in 0..<8 { header[128 + place] = UInt8(truncatingIfNeeded: size >> (56 - 8 * UInt64(place))) }
        }
        put(octal(0), at: 136)
        header[156] = type.asciiValue ?? 0
        put(link, at: 157)
        put(type == "S" ? "ustar  \0" : "ustar\000", at: 257)
        for (index, hole) in sparse.enumerated() {
            put(octal(hole.offset), at: 386 + 24 * index)
            put(octal(hole.count), at: 398 + 24 * index)
        }
        if type == "S" { put(octal(realSize), at: 483) }
        header.replaceSubrange(148..<156, with: repeatElement(UInt8(ascii: " "), count: 8))
        let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        put(String(repeating: "0", count: 6 - sum.count) + sum + "\0", at: 148)
        bytes += header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}

@Suite struct HostileTars {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func read(_ tar: RawTar) throws -> (samples: [Sample], drops: DroppedSamples) {
        let healthy = try folder.samples("healthy", count: 1)
        let reader = ShardReader(files: [try folder.write("hostile.tar", tar.finished), healthy])
        let read = samples(of: reader)
        #expect(read.last?.key == "healthy-0")
        return (read.dropLast(), reader.drops)
    }

    @Test func `names that lead elsewhere are names, and nothing is written`() throws {
        var tar = RawTar()
        for name in ["../up.jpg", "/abs.jpg", "a/../../b.jpg", "c\u{1}.jpg", "..jpg", "d//e.jpg"] { tar.add(name, [1]) }
        let before = try Folder.names("\(folder.path)/..").filter { $0.hasPrefix("up") }
        let (samples, drops) = try read(tar)
        #expect(samples.map(\.key) == ["../up", "/abs", "a/../../b", "c\u{1}", "d//e"])
        #expect(drops.isEmpty)
        #expect(try Folder.names("\(folder.path)/..").filter { $0.hasPrefix("up") } == before)
        #expect(try Folder.names(folder.path) == ["healthy.tar", "hostile.tar"])
    }

    @Test func `links, folders and devices are passed over`() throws {
        var tar = RawTar()
        tar.add("a.jpg", [1])
        tar.add("b.jpg", type: "1", link: "a.jpg")
        tar.add("c.jpg", type: "2", link: "/etc/passwd")
        tar.add("d.jpg", type: "3")
        tar.add("e.jpg", type: "5")
        tar.add("f.jpg", type: "6")
        tar.add("g.jpg", [2])
        let (samples, drops) = try read(tar)
        #expect(samples.map(\.key) == ["a", "g"] && drops.isEmpty)
    }

    @Test func `a file with holes costs itself and no memory`() throws {
        var tar = RawTar()
        tar.add("a.jpg", [1])
        tar.add("b.jpg", [2, 2], type: "S", sparse: [(1 << 32, 2)], realSize: 1 << 32 + 2)
        tar.add("c.jpg", [3])
        let (samples, drops) = try read(tar)
        #expect(samples.map(\.key) == ["a", "c"])
        #expect(drops.broken == ["shard is damaged": 1])
    }

    @Test(arguments: [1 << 20, 1 << 34, 1 << 40, 1 << 62, UInt64.max])
    func `a size that is not there costs the shard's rest and no memory`(declared: UInt64) throws {
        var tar = RawTar()
        tar.add("a.jpg", [1])
        tar.add("b.jpg", [2], declared: declared)
        tar.add("c.jpg", [3])
        let (samples, drops) = try read(tar)
        #expect(samples.first?.key == "a" && !drops.broken.isEmpty)
    }

    @Test(arguments: ["x", "g", "L", "K"] as [Character])
    func `a header of megabytes costs its shard alone`(type: Character) throws {
        let length = 3 << 20
        let record = "\(length) path=" + String(repeating: "n", count: length - 14) + "\n"
        var tar = RawTar()
        tar.add("a.jpg", [1])
        tar.add("header", Array(record.utf8), type: type)
        tar.add("b.jpg", [2])
        let (samples, _) = try read(tar)
        #expect(samples.first?.key == "a")
        #expect(samples.allSatisfy { $0.key.utf8.count < 1 << 20 })
    }

    /// 300 MiB of zeros in 300 kB.
    @Test func `a bomb of zeros loses what passes the limit of a sample`() throws {
        let healthy = try folder.samples("healthy", count: 1)
        try folder.write("z/a.txt", [1])
        let big = open("\(folder.path)/z/a.jpg", O_WRONLY | O_CREAT, 0o600)
        try #require(big >= 0 && ftruncate(big, 300 << 20) == 0)
        close(big)
        let command = "pipe:tar -c -C \(folder.path)/z a.jpg a.txt | gzip -1"
        let reader = ShardReader(shards: try resolveShards([command, healthy]))
        #expect(samples(of: reader).map { $0.members.keys.sorted() } == [["txt"], ["jpg", "txt"]])
        #expect(reader.drops.broken == ["sample is larger than 256 MiB": 1])
    }
}
