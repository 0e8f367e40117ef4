import Foundation
import Testing

/// The field's words: what was called otherwise once stays away from help, messages, comments and pages.
@Suite struct WordsTests {
    /// Words that went, each with the one to write.
    static let retired: [(word: String, instead: String)] = [
        ("picture", "image"), ("text tower", "text encoder"), ("image tower", "image encoder"),
        ("held-out loss", "validation loss"), ("left to chance", "random"), ("by chance", "at random"),
        ("way back", "backward pass"), ("what a LoRA hears", "LoRA dropout"),
    ]

    /// Names in files that keep such a word, because files on disk have it.
    private static let kept = ["picture_dropout", "\"pictures\"", "\"pictures without antialias\""]

    /// Lines of a text that have a retired word, with the word to write.
    static func complaints(in text: String, of path: String) -> [String] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.enumerated().flatMap { number, line in
            let plain = kept.reduce(String(line)) { $0.replacingOccurrences(of: $1, with: "") }.lowercased()
            return retired.filter { plain.contains($0.word.lowercased()) }
                .map { "\(path):\(number + 1): \($0.word); write \($0.instead)" }
        }
    }

    @Test func `sources, configurations and pages use the field's words`() throws {
        var read = 0
        for path in try Self.paths() {
            let text = try String(contentsOf: HouseTests.root.appending(path: path), encoding: .utf8)
            #expect(Self.complaints(in: text, of: path) == [])
            read += 1
        }
        #expect(read > 300)
    }

    @Test func `a retired word is found`() {
        #expect(
            Self.complaints(in: "x\n/// A Picture of two.\n", of: "a.swift") == ["a.swift:2: picture; write image"])
        #expect(Self.complaints(in: "picture_dropout: 0.9\n", of: "a.yaml") == [])
    }

    /// Swift files of sources and plug-ins, configurations and pages.
    private static func paths() throws -> [String] {
        let folders = ["Sources", "Plugins", "configs", "docs", "examples"]
        let inside = try folders.flatMap { folder in
            try FileManager.default.subpathsOfDirectory(atPath: HouseTests.root.appending(path: folder).path)
                .filter { !$0.contains(".build/") }.map { "\(folder)/\($0)" }
        }
        let pages = try FileManager.default.contentsOfDirectory(atPath: HouseTests.root.path)
        return (inside + pages).filter { path in [".swift", ".yaml", ".md"].contains { path.hasSuffix($0) } }
    }
}
