import Failures
import Files
import Testing

@testable import Shards

@Suite struct PictureShards {
    @Test func `a folder of pictures reads as its packed tar does, and pictures without texts too`() throws {
        let folder = try TemporaryFolder()
        for number in 0..<150 {
            try folder.write("in/sub.\(number % 3)/p\(number).x.JPG", [1, UInt8(number)])
            if number % 2 == 0 { try folder.write("in/sub.\(number % 3)/p\(number).x.txt", [65, UInt8(number % 128)]) }
            if number % 3 == 0 {
                try folder.write("in/sub.\(number % 3)/p\(number).x.json", [66, UInt8(number % 128)])
            }
        }
        // Two names that become one key, a name that webdataset would take for its own, a text without picture.
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
        #expect(read.allSatisfy { $0.shard == "\(folder.path)/in" && $0.picture != nil })
        #expect(Set(read.map(\.key)).count == 153)
    }

    @Test func `a picture that can't be read costs its sample alone`() throws {
        let folder = try TemporaryFolder()
        for name in ["a", "b", "c"] { try folder.write("in/\(name).jpg", [1]) }
        let shards = try resolveShards(["\(folder.path)/in"])
        try removeFile("\(folder.path)/in/b.jpg")
        let reader = ShardReader(shards: shards)
        #expect(samples(of: reader).map(\.key) == ["a", "c"])
        #expect(reader.drops.broken == ["member is cut off or damaged": 1])
    }
}
