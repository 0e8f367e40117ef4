import Failures
import Files
import JSON
import Testing

@testable import Shards

private let goldens = String(#filePath.dropLast("ShardsTests/ShardReaderTests.swift".count)) + "Goldens/shards/"

@Suite struct ShardReading {
    @Test(arguments: ["gnu.tar", "pax.tar", "ustar.tar", "gnu.tar.gz", "gnu.tar.bz2", "gnu.tar.xz", "gnu.tar.zst"])
    func `members are grouped as webdataset groups them`(name: String) throws {
        let expected = try #require(try JSON.read(goldens + "groups.json")[name]?.arrayValue)
        let reader = ShardReader(files: [goldens + name])
        let samples = samples(of: reader)
        #expect(samples.count == expected.count)
        for (sample, wanted) in zip(samples, expected) {
            #expect(try Array(sample.key.utf8) == Array(#require(wanted["key"]?.stringValue).utf8))
            #expect(sample.shard == goldens + name)
            #expect(try base64(sample) == strings(#require(wanted["members"])))
        }
        #expect(reader.drops.broken == ["member has the name of another": 1])
    }

    @Test func `hidden files belong to no sample`() throws {
        let folder = try TemporaryFolder()
        let tar = try folder.tar(
            "a.tar", [("._1.jpg", [1]), ("1.jpg", [2]), ("dir/._1.txt", [3]), ("1.txt", [4]), (".txt", [5])])
        let samples = samples(of: ShardReader(files: [tar]))
        #expect(samples == [Sample(key: "1", shard: tar, members: ["jpg": [2], "txt": [4]])])
    }

    @Test func `samples of two shards are never mixed`() throws {
        let folder = try TemporaryFolder()
        let one = try folder.tar("1.tar", [("same.jpg", [1])])
        let two = try folder.tar("2.tar", [("same.txt", [2])])
        #expect(samples(of: ShardReader(files: [one, two])).map(\.members) == [["jpg": [1]], ["txt": [2]]])
    }

    @Test func `the first of jpg, png, jpeg, webp is the image`() {
        var sample = Sample(key: "k", shard: "s", members: ["webp": [4], "jpeg": [3], "png": [2], "gif": [9]])
        #expect(sample.image == [2])
        sample.members["jpg"] = [1]
        #expect(sample.image == [1])
    }

    private func base64(_ sample: Sample) -> [String: String] { sample.members.mapValues(encoded) }

    private func strings(_ json: JSON) throws -> [String: String] {
        var strings: [String: String] = [:]
        for (name, value) in try #require(json.objectValue) { strings[name] = value.stringValue }
        return strings
    }
}

/// RFC 4648.
private func encoded(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = (0..<3).reduce(0) { $0 << 8 | (start + $1 < bytes.count ? Int(bytes[start + $1]) : 0) }
        for place in 0..<4 { text.append(start + place <= bytes.count ? digits[group >> (18 - 6 * place) & 63] : "=") }
    }
    return text
}
