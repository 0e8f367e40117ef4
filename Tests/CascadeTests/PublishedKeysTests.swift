import Cascade
import Files
import Foundation
import JSON
import Layers
import Testing
import Torch

/// Keys and shapes of the published sizes, which `Tests/Goldens/write_keys.py` took from diffusers.
@Suite struct PublishedKeysTests {
    private func expect(_ size: String, _ make: (ParameterStore) throws -> Void) throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let golden = try JSON.read(tests.appending(path: "Goldens/keys.json").path)
        let expected = try #require(golden["sizes"]?[size])
        let store = ParameterStore(from: Placeholders())
        try make(store)
        let lines = store.entries.map { "\($0.key) \($0.tensor.shape)\n" }.sorted()
        #expect(lines.count == expected["tensors"]?.intValue)
        #expect(Set(store.entries.map(\.key)).count == lines.count)
        #expect(store.entries.reduce(0) { $0 + $1.tensor.count } == expected["elements"]?.intValue)
        var hash = SHA256()
        Array(lines.joined().utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.finish() == expected["sha256"]?.stringValue)
        #expect(store.entries.allSatisfy { !$0.isBuffer })
    }

    @Test(arguments: [("3.6B", StageCConfiguration.large), ("1B", .lite)])
    func `stage C has the published keys`(size: String, configuration: StageCConfiguration) throws {
        try expect(size) { _ = try StageC(configuration, $0) }
    }

    @Test(arguments: [("3B", StageBConfiguration.large), ("700M", .lite)])
    func `stage B has the published keys`(size: String, configuration: StageBConfiguration) throws {
        try expect(size) { _ = try StageB(configuration, $0.root) }
    }
}
