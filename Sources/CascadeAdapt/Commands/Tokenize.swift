import ArgumentParser
import Cascade
import JSON

/// `tokenize TEXT`: the ids that a text encoder is given.
struct Tokenize: Action {
    static let configuration = CommandConfiguration(abstract: "Show the ids of a text's tokens.")

    @Argument(help: "The text; put -- before one that begins with a dash.")
    var text: String

    @Option(
        help: ArgumentHelp("Folder with tokenizer.json, or with vocab.json and merges.txt.", valueName: "folder"),
        completion: .directory)
    var tokenizer: String

    @Option(
        name: .customLong("add"), parsing: .singleValue,
        help: ArgumentHelp("A token to add, such as '[fernando]'. Repeatable.", valueName: "token"))
    var added: [String] = []

    @Flag(help: "Pad to 77 tokens, as the text encoder expects.")
    var pad = false

    @Flag(help: "Print JSON.")
    var json = false

    func run(in context: Context) throws {
        var tokenizer = try CLIPTokenizer(folder: tokenizer)
        for token in added { _ = try tokenizer.addToken(token) }
        let ids = pad ? tokenizer.encodePadded(text).ids : tokenizer.encode(text)
        if json {
            try Output().result(["ids": .array(ids.map { .integer($0) })])
        } else {
            try Output().result(ids.map(String.init).joined(separator: " "))
        }
    }
}
