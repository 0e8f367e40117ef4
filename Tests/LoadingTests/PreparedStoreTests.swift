import Synchronization
import Testing

@testable import Loading
@testable import Shards

@Suite struct PreparedStores {
    /// The keys that a loader asks for of an image.
    private func key(_ entry: LoadingWorld.Entry, salt: String, size: Int? = nil) throws -> String {
        let world = try LoadingWorld([[entry]])
        let buckets = try size.map { try .init(size: $0, step: 32) } ?? world.buckets
        let store = PreparedStore(salt: salt) { _ in nil }
        let loader = try world.loader(
            batchSize: 1, preparation: SamplePreparation(buckets: buckets, store: store))
        return try #require(loader.next().keys?.first)
    }

    @Test func `a key stands for image, fit and salt`() throws {
        let (one, other) = (try LoadingWorld.Entry(1), try LoadingWorld.Entry(2))
        let keys = [
            try key(one, salt: "a"), try key(other, salt: "a"), try key(one, salt: "b"),
            try key(one, salt: "a", size: 64),
        ]
        #expect(Set(keys).count == 4)
        #expect(keys.allSatisfy { $0.count == 64 && $0.allSatisfy(\.isHexDigit) })
        #expect(try key(one, salt: "a") == keys[0])
        var renamed = one
        renamed.caption = "another"
        #expect(try key(renamed, salt: "a") == keys[0])
    }

    @Test func `what is found is handed out, and its image is not decoded`() throws {
        let whole = try LoadingWorld.Entry(1)
        // The header is whole, the rest is not.
        var broken = try LoadingWorld.Entry(2)
        broken.image?.removeLast(30)
        let world = try LoadingWorld([[whole, broken]])
        let wholeKey = try key(whole, salt: "s")
        let store = PreparedStore(salt: "s") { $0 == wholeKey ? nil : [1, 2, 3] }
        let loader = try world.loader(
            batchSize: 2, preparation: SamplePreparation(buckets: world.buckets, store: store))
        let batch = try loader.next()
        var contents: [String: [UInt8]] = [:]
        for sample in batch.samples {
            switch sample.content {
            case .image(let image): contents[sample.caption] = Array(image.pixels.prefix(3))
            case .prepared(let bytes): contents[sample.caption] = bytes
            case .elsewhere: break
            }
        }
        #expect(contents == ["caption 1": [11, 1, 7], "caption 2": [1, 2, 3]])
        #expect(batch.images.count == 1 && batch.keys?.count == 2)
        #expect(loader.drops.isEmpty)
    }
}
