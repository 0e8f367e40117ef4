import Cascade
import Failures
import Files
import Glibc
import JSON
import Testing

private let root = String(#filePath.dropLast("Tests/CascadeTests/TokenizerTests.swift".count))
/// Made by `examples/tokenizer/make_clip_tokenizer.py`.
private let folder = root + "models/clip-tokenizer"

private func golden() throws -> JSON { try JSON.read(root + "Tests/Goldens/tokenizer.json") }

private func ids(_ json: JSON?) -> [Int]? { json?.arrayValue?.compactMap(\.intValue) }

/// A folder of its own, removed afterwards.
private func withFolder(_ files: [(name: String, content: JSON)], _ body: (String) throws -> Void) throws {
    var template = Array("/tmp/tokenizer.XXXXXX".utf8CString)
    let path = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer {
        for file in files { unlink("\(path)/\(file.name)") }
        rmdir(path)
    }
    for file in files { try writeAtomically(file.content.text(), to: "\(path)/\(file.name)") }
    try body(path)
}

@Suite struct TokenizerCounts {
    @Test func `all tokens of a text are counted, also those that are cut off`() throws {
        var tokenizer = try CLIPTokenizer(folder: folder)
        _ = try tokenizer.addToken("[cat]")
        let each = tokenizer.encode("a,").count - 2
        let long = String(repeating: "a,", count: 80)
        #expect(tokenizer.count("a,") == each + 2 && tokenizer.count("") == 2)
        #expect(tokenizer.count(long + "[cat]") == 80 * each + 3)
        #expect(tokenizer.encode(long + "[cat]").count == 77)
    }
}

@Suite struct TokenizerParity {
    @Test func `a thousand strings have the ids of transformers`() throws {
        let golden = try golden()
        var tokenizer = try CLIPTokenizer(folder: folder)
        let added = try #require(golden["added"]?.objectValue)
        for (token, id) in added {
            #expect(try tokenizer.addToken(token) == id.intValue)
        }
        let cases = try #require(golden["cases"]?.arrayValue)
        #expect(cases.count == 1000)
        for item in cases {
            let text = try #require(item[0]?.stringValue)
            #expect(tokenizer.encode(text) == ids(item[1]), "\(text.unicodeScalars.map { $0.escaped(asASCII: true) })")
        }
    }

    @Test func `the files beside the vocabulary mean what they mean to transformers`() throws {
        let golden = try golden()
        let questions = (golden["questions"]?.arrayValue ?? []).compactMap(\.stringValue)
        #expect(questions.count == 4)
        let variants = try #require(golden["variants"]?.arrayValue)
        #expect(variants.count == 9)
        for variant in variants {
            let members = try #require(variant["files"]?.objectValue)
            let files = members.map { ($0.key, $0.value) }
            try withFolder(files) { path in
                for part in ["vocab.json", "merges.txt"] { symlink("\(folder)/\(part)", "\(path)/\(part)") }
                defer { for part in ["vocab.json", "merges.txt"] { unlink("\(path)/\(part)") } }
                var tokenizer = try CLIPTokenizer(folder: path)
                #expect(try tokenizer.addToken("[new]") == variant["new"]?.intValue)
                let answers = try #require(variant["padded"]?.arrayValue)
                for (question, padded) in zip(questions, answers) {
                    let (found, mask) = tokenizer.encodePadded(question)
                    #expect(found == ids(padded), "\(files.map(\.0)) \(question)")
                    #expect(mask.count == 77 && mask.reduce(0, +) == tokenizer.encode(question).count)
                    #expect(zip(found, mask).allSatisfy { $1 == 1 || $0 == tokenizer.padID })
                }
            }
        }
    }

    @Test func `tokenizer.json alone reads like vocabulary and merges`() throws {
        let merges = try readFile(folder + "/merges.txt").split(separator: 0x0A)
            .dropFirst()
            .map { String(decoding: $0, as: UTF8.self) }
        let vocabulary = try JSON.read(folder + "/vocab.json")
        let pairs = merges.map { JSON.array($0.split(separator: " ").map { .string(String($0)) }) }
        let texts = ["A photo of a dog.", "[one] naïve café's 3.14 ## <|endoftext|>"]
        for merges in [merges.map(JSON.string), pairs] {
            let file: JSON = [
                "added_tokens": [["id": 49408, "content": "[one]", "normalized": true, "special": false]],
                "model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocabulary, "merges": .array(merges)],
            ]
            try withFolder([("tokenizer.json", file)]) { path in
                let whole = try CLIPTokenizer(folder: path)
                var parts = try CLIPTokenizer(folder: folder)
                #expect(try parts.addToken("[one]") == 49408)
                #expect(whole.size == 49409)
                for text in texts { #expect(whole.encode(text) == parts.encode(text)) }
            }
        }
    }
}

@Suite struct TokenizerUse {
    @Test func `regular expressions search the vocabulary`() throws {
        var tokenizer = try CLIPTokenizer(folder: folder)
        _ = try tokenizer.addToken("[dog]")
        let patterns = try #require(golden()["patterns"]?.objectValue)
        #expect(patterns["^dog</w>"] == [1929] && patterns.count == 13)
        for (pattern, expected) in patterns {
            #expect(try tokenizer.ids(matching: pattern) == ids(expected), "\(pattern)")
        }
        for pattern in ["(", "[a", "*", "(?<n>a)(?<n>b)", #"\"#] {
            let failure = #expect(throws: Failure.self, "\(pattern)") { try tokenizer.ids(matching: pattern) }
            #expect(failure?.blame == .input && failure?.got == pattern)
        }
    }

    @Test func `a token is added once`() throws {
        var tokenizer = try CLIPTokenizer(folder: folder)
        #expect((tokenizer.startID, tokenizer.endID, tokenizer.padID, tokenizer.size) == (49406, 49407, 49407, 49408))
        #expect(try tokenizer.addToken("[fernando]") == 49408)
        #expect(try tokenizer.addToken("[fernando]") == 49408)
        #expect(try tokenizer.addToken("<cat-toy>") == 49409)
        #expect(try tokenizer.addToken("dog</w>") == 1929)
        #expect(tokenizer.size == 49410)
        #expect(throws: Failure.self) { try tokenizer.addToken("[Fernando]") }
        #expect(throws: Failure.self) { try tokenizer.addToken("") }
    }

    @Test func `files that do not fit are refused`() throws {
        let missing = #expect(throws: Failure.self) { try CLIPTokenizer(folder: "/none") }
        #expect(
            missing?.description
                == "/none: no tokenizer in this folder, expected tokenizer.json, or vocab.json and merges.txt")
        let bad: [JSON] = [
            ["model": ["type": "Unigram"]],
            ["model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": ["a": -1], "merges": []]],
            ["model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": ["a": 1e30], "merges": []]],
            ["model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": ["a": 0], "merges": ["a b"]]],
            ["model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": ["a": 0], "merges": ["a"]]],
            [
                "model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": ["a": 0], "merges": []],
                "added_tokens": [1],
            ],
            [
                "model": ["type": "BPE", "end_of_word_suffix": "</w>", "vocab": ["a": 0], "merges": []],
                "added_tokens": [["id": 9, "content": "[x]"]],
            ],
        ]
        for file in bad {
            try withFolder([("tokenizer.json", file)]) { path in
                let failure = #expect(throws: Failure.self) { try CLIPTokenizer(folder: path) }
                #expect(failure?.blame == .input && failure?.place != nil)
            }
        }
    }

    @Test func `what the vocabulary lacks becomes the unknown token`() throws {
        let file: JSON = [
            "model": ["end_of_word_suffix": "</w>", "vocab": ["a": 0, "b</w>": 1, "ab</w>": 2], "merges": ["a b</w>"]]
        ]
        try withFolder([("tokenizer.json", file)]) { path in
            let tokenizer = try CLIPTokenizer(folder: path)
            #expect(tokenizer.encode("ab") == [3, 2, 4])
            #expect(tokenizer.encode("ac b") == [3, 0, 4, 1, 4])
        }
    }
}
