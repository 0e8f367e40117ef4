import Files
import Foundation
import TestSupport
import Testing

@Suite struct ContentSamples {
    private func sample(_ bytes: [UInt8], pieces: Int = 8) throws -> String {
        let scratch = try Scratch()
        try Data(bytes).write(to: URL(fileURLWithPath: scratch["f"]))
        return try contentSample(scratch["f"], pieces: pieces)
    }

    @Test func `a small file is known by all of its bytes`() throws {
        // The digits are those of sha256sum.
        #expect(try sample(Array("abc".utf8)) == "3:ba7816bf8f01cfea")
        #expect(try sample([]) == "0:e3b0c44298fc1c14")
    }

    @Test func `a large file is known by its size, its beginning, its end and pieces between`() throws {
        let bytes = [UInt8](repeating: 7, count: (3 << 20) + 5)
        let before = try sample(bytes)
        for place in [0, 65535, bytes.count - 1] {
            var other = bytes
            other[place] = 8
            #expect(try sample(other) != before, "\(place)")
        }
        #expect(try sample(bytes + [7]) != before)
        #expect(try sample(bytes.map { _ in 9 }) != before)
        #expect(try sample(bytes) == before)
    }
}
