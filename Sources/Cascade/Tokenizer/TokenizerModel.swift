import Failures
import Glibc
import JSON

/// Vocabulary and merges as a tokenizer's folder holds them.
struct TokenizerModel {
    /// Ids by token.
    let known: [String: Int]
    /// The members of `added_tokens` in `tokenizer.json`.
    let addedTokens: [JSON]
    private let merges: [(left: String, right: String)]
    private let place: Failure.Place

    init(folder: String) throws {
        let whole = folder + "/tokenizer.json"
        if access(whole, F_OK) == 0 {
            let file = try JSON.read(whole)
            place = Failure.Place(whole)
            let model = file["model"] ?? .null
            guard model["type"]?.stringValue ?? "BPE" == "BPE",
                model["end_of_word_suffix"]?.stringValue == BytePairEncoding.endOfWord
            else { throw Failure.input("not a CLIP tokenizer", at: place, expected: "BPE with the suffix </w>") }
            known = try Self.vocabulary(model["vocab"] ?? .null, at: place)
            merges = try Self.merges(model["merges"] ?? .null, at: place)
            addedTokens = file["added_tokens"]?.arrayValue ?? []
        } else {
            guard access(folder + "/vocab.json", F_OK) == 0 else {
                throw Failure.input(
                    "no tokenizer in this folder", at: Failure.Place(folder),
                    expected: "tokenizer.json, or vocab.json and merges.txt")
            }
            place = Failure.Place(folder + "/vocab.json")
            known = try Self.vocabulary(JSON.read(place.file), at: place)
            merges = try Self.mergeLines(folder + "/merges.txt")
            addedTokens = []
        }
    }

    /// - Throws: Where a merge speaks of a token that the vocabulary lacks.
    func encoding(unknown: Int) throws -> BytePairEncoding {
        let unknown = Int32(unknown)
        let characters = BytePairEncoding.characters.map { String(Character($0)) }
        var encoding = BytePairEncoding(
            inner: characters.map { known[$0].map { Int32($0) } ?? unknown },
            final: characters.map { known[$0 + BytePairEncoding.endOfWord].map { Int32($0) } ?? unknown },
            merges: [:])
        encoding.merges.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() {
            guard let left = known[merge.left], let right = known[merge.right],
                let result = known[merge.left + merge.right]
            else {
                throw Failure.input(
                    "the vocabulary lacks a part or the result of the merge \"\(merge.left) \(merge.right)\"",
                    at: place)
            }
            encoding.merges[BytePairEncoding.Pair(left: Int32(left), right: Int32(right))] = .init(
                rank: Int32(clamping: rank), result: Int32(result))
        }
        return encoding
    }

    private static func vocabulary(_ json: JSON, at place: Failure.Place) throws -> [String: Int] {
        guard let object = json.objectValue, object.count > 0 else {
            throw Failure.input("no vocabulary", at: place, expected: "an object of tokens and numbers")
        }
        var known: [String: Int] = [:]
        known.reserveCapacity(object.count)
        for (token, value) in object {
            guard let id = value.intValue, (0..<Int(Int32.max)).contains(id) else {
                throw Failure.input(
                    "the token \"\(token)\" has no number", at: place, expected: "0 to \(Int32.max - 1)",
                    got: value.text())
            }
            known[token] = id
        }
        return known
    }

    private static func merges(_ json: JSON, at place: Failure.Place) throws -> [(left: String, right: String)] {
        guard let merges = json.arrayValue else { throw Failure.input("no merges", at: place, expected: "an array") }
        return try merges.map { merge in
            let parts =
                merge.stringValue?.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
                ?? merge.arrayValue?.compactMap(\.stringValue) ?? []
            guard parts.count == 2 else {
                throw Failure.input("not a merge", at: place, expected: "two tokens", got: merge.text())
            }
            return (parts[0], parts[1])
        }
    }

    private static func mergeLines(_ path: String) throws -> [(left: String, right: String)] {
        let bytes = try WholeFile.read(path, maximumBytes: 64 << 20)
        var merges: [(left: String, right: String)] = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let line = line.last == 0x0D ? line.dropLast() : line
            if line.starts(with: "#version".utf8) || (line.isEmpty && merges.count > 0) { continue }
            let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
                .compactMap { String(validating: $0, as: UTF8.self) }
            guard parts.count == 2 else {
                throw Failure.input(
                    "not a merge", at: Failure.Place(path, line: index + 1), expected: "two tokens and a space")
            }
            merges.append((parts[0], parts[1]))
        }
        return merges
    }
}
