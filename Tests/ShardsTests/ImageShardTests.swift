import Failures
import Files
import Glibc
import Testing

@testable import Shards

@Suite struct ImageShards {
    @Test func `a folder of images reads as its packed tar does, and images without texts too`() throws {
        let folder = try TemporaryFolder()
        for number in 0..<150 {
            try folder.write("in/sub.\(number % 3)/p\(number).x.JPG", [1, UInt8(number)])
            if number % 2 == 0 { try folder.write("in/sub.\(number % 3)/p\(number).x.txt", [65, UInt8(number % 128)]) }
            if number % 3 == 0 {
                try folder.write("in/sub.\(number % 3)/p\(number).x.json", [66, UInt8(number % 128)])
            }
        }
        // Two names that become one key, a name that webdataset would take for its own, a text without image.
        for name in ["a.b", "a_b", "__meta__/c"] {
            try folder.write("in/\(name).png", [2])
            try folder.write("in/\(name).txt", Array(name.utf8))
        }
        try folder.write("in/lonely.txt", [67])
        let tar = "\(folder.path)/packed.tar"
        _ = try packDataset(folder: "\(folder.path)/in", to: tar) { _, _ in }
        let packed = samples(of: ShardReader(files: [tar]))
        let shards = try resolveShards(["\(folder.path)/in"])
        let reader = ShardReader(shards: shards)
        let read = samples(of: reader)
        #expect(shards.count == 3 && Set(shards.map(\.name)).count == 3)
        #expect(read.count == 153 && reader.drops.isEmpty)
        let withText = read.filter { $0.members.count > 1 }
        #expect(withText.map(\.key) == packed.map(\.key))
        #expect(withText.map(\.members) == packed.map(\.members))
        #expect(read.allSatisfy { $0.shard == "\(folder.path)/in" && $0.image != nil })
        #expect(Set(read.map(\.key)).count == 153)
    }

    @Test func `every file of an image's name is a member of its sample`() throws {
        let folder = try TemporaryFolder()
        for (name, bytes) in [
            ("a.JFIF", [1]), ("a.caption", [65]), ("a.tags", [66]), ("b.jpe", [2]), ("c.gif", [3]), ("c.txt", [67]),
            ("d.bmp", [4]), ("d.TXT", [68]), ("d.gif", [5]),
        ] as [(String, [UInt8])] { try folder.write("in/\(name)", bytes) }
        let read = samples(of: ShardReader(shards: try resolveShards(["\(folder.path)/in"])))
        #expect(
            read.map { [$0.key: $0.members] } == [
                ["a": ["jfif": [1], "caption": [65], "tags": [66]]], ["b": ["jpe": [2]]],
                ["c": ["gif": [3], "txt": [67]]],
                ["d": ["bmp": [4], "txt": [68]]],
            ])
        let captions = SampleReading(captions: Captions([.member("caption"), .member("tags"), .member("txt")]))
        #expect(
            read.map(captions.reasonToDrop) == [nil, "no caption", "image in a format that is not read: .gif", nil])
        #expect(captions.caption(of: read[0], draw: 1) == "A")
        let report = try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/o.tar") { _, _ in }
        #expect(report.samples == 2)
        #expect(
            report.problems.map { "\($0.path.dropFirst(folder.path.count + 4)): \($0.reason)" } == [
                "b.jpe: image without text", "c.gif: image in a format that is not read: .gif",
                "d.gif: another file has this name",
            ])
    }

    @Test func `file names that are not UTF-8 are told`() throws {
        let folder = try TemporaryFolder()
        try folder.write("in/plain.png", [1])
        try folder.write("in/plain.txt", [65])
        let place = Array("\(folder.path)/in/".utf8)
        for name in ["caf\u{E9}.png", "caf\u{E9}.txt", "caf\u{E9}.md"] {
            let path = (place + name.unicodeScalars.map { UInt8($0.value) }).map { CChar(bitPattern: $0) } + [0]
            let file = open(path, O_CREAT | O_WRONLY, 0o644)
            try #require(file >= 0)
            close(file)
        }
        defer { _ = system("rm -rf '\(folder.path)/in'") }
        let reader = ShardReader(shards: try resolveShards(["\(folder.path)/in"]))
        #expect(samples(of: reader).map(\.key) == ["plain"])
        #expect(reader.drops.broken == ["file name is not UTF-8": 1])
        let report = try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/o.tar") { _, _ in }
        #expect(report.samples == 1)
        #expect(
            report.problems
                == ["png", "txt"].map {
                    .init(path: "\(folder.path)/in/caf\\xE9.\($0)", reason: "file name is not UTF-8")
                })
    }

    @Test func `an image that can't be read costs its sample alone`() throws {
        let folder = try TemporaryFolder()
        for name in ["a", "b", "c"] { try folder.write("in/\(name).jpg", [1]) }
        let shards = try resolveShards(["\(folder.path)/in"])
        try removeFile("\(folder.path)/in/b.jpg")
        let reader = ShardReader(shards: shards)
        #expect(samples(of: reader).map(\.key) == ["a", "c"])
        #expect(reader.drops.broken == ["member is cut off or damaged": 1])
    }
}
