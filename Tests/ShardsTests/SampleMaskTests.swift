import Failures
import Testing

@testable import Shards

@Suite struct SampleMaskTests {
    private func sample(_ key: String, _ members: [String: [UInt8]] = [:]) -> Sample {
        Sample(key: key, shard: "x.tar", members: ["jpg": [1], "txt": [65]].merging(members) { $1 })
    }

    @Test func `a mask is a member by its ending`() throws {
        let masks = try SampleMasks("Mask.PNG")
        #expect(try masks.bytes(of: sample("a", ["mask.png": [7]])) == [7])
        #expect(try masks.bytes(of: sample("a")) == nil)
        var reading = SampleReading()
        #expect(reading.reasonToDrop(sample("a")) == nil)
        reading.masks = masks
        #expect(reading.reasonToDrop(sample("a")) == "no mask")
        #expect(reading.reasonToDrop(sample("a", ["mask.png": [7]])) == nil)
    }

    @Test func `a mask lies in a folder under the key, or the last part of it`() throws {
        let folder = try TemporaryFolder()
        try folder.write("masks/a.png", [1])
        try folder.write("masks/sub/b.webp", [2])
        try folder.write("masks/c.d.jpg", [3])
        let masks = try SampleMasks("\(folder.path)/masks")
        func found(_ key: String) throws -> [UInt8]? { try masks.bytes(of: sample(key)) }
        #expect(try found("a") == [1] && found("0001/a") == [1] && found("sub/b") == [2])
        // As a folder of images calls it.
        #expect(try found("c_d") == [3])
        #expect(try found("d") == nil && found("b") == nil)
    }

    @Test(arguments: ["nowhere/masks", "mask", "mask.txt", ""])
    func `what is neither a folder nor an ending is refused`(name: String) throws {
        #expect(try #require(throws: Failure.self) { try SampleMasks(name) }.blame == .input)
    }

    @Test func `an empty folder has no masks`() throws {
        let folder = try TemporaryFolder()
        #expect(throws: Failure.self) { try SampleMasks(folder.path) }
    }

    @Test func `a mask beside an image is its member, in a folder and packed`() throws {
        let folder = try TemporaryFolder()
        for (name, bytes) in [
            ("a.b.jpg", [1]), ("a.b.txt", [65]), ("a.b.mask.png", [2]), ("c.png", [3]), ("c.txt", [66]),
            ("d.mask.png", [4]), ("d.mask.txt", [67]),
        ] as [(String, [UInt8])] { try folder.write("in/\(name)", bytes) }
        let expected: [[String: [UInt8]]] = [
            ["jpg": [1], "txt": [65], "mask.png": [2]], ["png": [3], "txt": [66]], ["png": [4], "txt": [67]],
        ]
        let read = samples(of: ShardReader(shards: try resolveShards(["\(folder.path)/in"])))
        #expect(read.map(\.members) == expected)
        let report = try packDataset(folder: "\(folder.path)/in", to: "\(folder.path)/out.tar") { bytes, path in
            if bytes == [2] { #expect(path.hasSuffix("a.b.mask.png")) }
        }
        #expect(report.problems.isEmpty)
        #expect(samples(of: ShardReader(files: ["\(folder.path)/out.tar"])).map(\.members) == expected)
    }
}
