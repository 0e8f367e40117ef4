import Failures
import Files
import Glibc
import Testing

@testable import Shards

@Suite struct DatasetPacking {
    /// Stands for a decoder: images that begin with 0 are broken.
    private func check(_ bytes: [UInt8], _ path: String) throws {
        if bytes.first == 0 { throw Failure.input("broken", at: .init(path)) }
    }

    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (name, bytes) in [
            ("in/b.jpg", [1, 2]), ("in/b.txt", Array("a b".utf8)), ("in/a.PNG", [3]), ("in/a.json", Array("{}".utf8)),
            ("in/a.txt", Array("an a".utf8)), ("in/sub/c.v2.webp", [4]), ("in/sub/c.v2.txt", []),
            ("in/alone.jpg", [5]), ("in/orphan.txt", [65]), ("in/broken.jpg", [0]), ("in/broken.txt", [65]),
            ("in/latin.jpg", [6]), ("in/latin.txt", [0xE9]), ("in/b.png", [7]), ("in/notes.md", [8]),
            ("in/.hidden.jpg", [9]), ("in/.hidden.txt", [65]),
        ] as [(String, [UInt8])] { try folder.write(name, bytes) }
        return folder
    }

    @Test func `pairs are packed, sorted, and read back`() throws {
        let folder = try folder()
        let out = "\(folder.path)/out.tar"
        let report = try packDataset(folder: "\(folder.path)/in", to: out, checkImage: check)
        #expect(report.samples == 3)
        let reader = ShardReader(files: [out])
        #expect(
            samples(of: reader) == [
                Sample(
                    key: "a", shard: out, members: ["png": [3], "json": Array("{}".utf8), "txt": Array("an a".utf8)]),
                Sample(key: "b", shard: out, members: ["jpg": [1, 2], "txt": Array("a b".utf8)]),
                Sample(key: "sub/c_v2", shard: out, members: ["webp": [4], "txt": []]),
            ])
        #expect(reader.drops.isEmpty)
        #expect(
            report.problems.map { "\($0.path.dropFirst(folder.path.count + 4)): \($0.reason)" } == [
                "alone.jpg: image without text", "b.png: another file has this name", "broken.jpg: broken image",
                "latin.txt: text is not UTF-8", "orphan.txt: text without image",
            ])
        #expect(try Folder.names(folder.path) == ["in", "out.tar"])
    }

    @Test func `packing twice gives the same bytes`() throws {
        let (one, two) = (try folder(), try folder())
        for folder in [one, two] {
            _ = try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/out.tar", checkImage: check)
        }
        let bytes = try readFile("\(one.path)/out.tar")
        #expect(try bytes == readFile("\(two.path)/out.tar"))
        // ustar's fields: name, mode, user, group, size, time; then its magic.
        func field(_ range: Range<Int>) -> String {
            String(decoding: bytes[range].prefix { $0 != 0 }, as: UTF8.self).trimmed
        }
        #expect(field(0..<100) == "a.json")
        #expect([field(100..<108), field(108..<116), field(116..<124)] == ["000644", "000000", "000000"])
        #expect(field(136..<148).allSatisfy { $0 == "0" })
        #expect(field(257..<263) == "ustar")
    }

    @Test func `names that a tar or webdataset can't take are changed or reported`() throws {
        let folder = try TemporaryFolder()
        let long = String(repeating: "n", count: 120)
        for name in ["__meta__", "a.b", "a_b", "new\nline", long] {
            try folder.write("in/\(name).jpg", [1])
            try folder.write("in/\(name).txt", Array(name.utf8))
        }
        let out = "\(folder.path)/out.tar"
        let report = try packDataset(folder: "\(folder.path)/in", to: out, checkImage: check)
        let read = samples(of: ShardReader(files: [out]))
        #expect(read.map(\.key) == ["a_b-2", "a_b", "new_line", "x__meta__"])
        #expect(read.map { SampleReading().caption(of: $0, draw: 1) } == ["a_b", "a.b", "new\nline", "__meta__"])
        #expect(report.problems == [.init(path: "\(folder.path)/in/\(long).jpg", reason: "name too long for a tar")])
    }

    @Test func `a folder without pairs is refused, and what stood there before stays`() throws {
        let folder = try TemporaryFolder()
        try folder.write("in/alone.jpg", [1])
        try folder.write("in/orphan.txt", [65])
        let out = try folder.write("out.tar", [42])
        let failure = #expect(throws: Failure.self) {
            try packDataset(folder: "\(folder.path)/in", to: out, checkImage: check)
        }
        #expect(failure?.blame == .input)
        #expect(failure?.got == "1 image without text, 1 text without image")
        #expect(try readFile(out) == [42])
        #expect(try Folder.names(folder.path) == ["in", "out.tar"])
    }

    @Test func `folders that are not there are named`() throws {
        let folder = try folder()
        let input = #expect(throws: Failure.self) {
            try packDataset(folder: "/no/such", to: "\(folder.path)/o.tar", checkImage: check)
        }
        #expect(input?.place?.file == "/no/such")
        let output = #expect(throws: Failure.self) {
            try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/none/o.tar", checkImage: check)
        }
        #expect(output?.place?.file == "\(folder.path)/none/o.tar")
    }

    @Test func `links that go round in circles are not followed`() throws {
        let folder = try folder()
        try #require(symlink("\(folder.path)/in", "\(folder.path)/in/sub/loop") == 0)
        let report = try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/out.tar", checkImage: check)
        #expect(report.samples == 3)
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
