import AdapterAlgebra
import ArgumentParser
import Cascade
import Failures
import Files
import JSON

/// `merge BASE ADAPTER…`: adapters become part of a base's weights.
struct MergeCommand: Action {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge adapters into a base's weights, or into one adapter.",
        discussion: """
            LoRA layers are merged into a file of Stage C, learned tokens into one of the text encoder. The result \
            has the layout, names and dtypes of the base; sums are computed in float32 and rounded once. The base is \
            read tensor by tensor.

            With --adapters-only there is no base: several LoRAs become one with the same effect as their sum, by \
            concatenating their ranks. `resize` then reduces its rank.
            """)

    @Argument(
        help: "The weights to merge into: Stage C, or the CLIP text encoder. With --adapters-only, the first adapter.",
        completion: .file())
    var base: String

    @Argument(
        help: ArgumentHelp("The adapters, each with its weight (default: 1).", valueName: "adapter[:weight]"),
        completion: .file())
    var adapters: [AdapterReference] = []

    @Flag(help: "Merge several adapters into one, without a base.")
    var adaptersOnly = false

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var output: String

    @OptionGroup var reading: ReadingOptions

    @OptionGroup var overwriting: OverwriteOption

    @Flag(help: "Print the result as a JSON line.")
    var json = false

    @Flag(help: "No notes on standard error.")
    var quiet = false

    func validate() throws {
        if adapters.isEmpty && !adaptersOnly {
            throw ValidationError("Missing expected argument '<adapter[:weight]> ...'")
        }
    }

    func run(in context: Context) throws {
        AlgebraStart.chooseKernels()
        let console = Output(isQuiet: quiet)
        let references = (adaptersOnly ? AdapterReference(argument: base).map { [$0] } ?? [] : []) + adapters
        try overwriting.check(
            [output], reading: (adaptersOnly ? [] : [base]) + references.map(\.path) + reading.files)
        let reading = try self.reading.reading()
        let parts = try references.map { adapter in
            let file = try context.plugIns.open(adapter.path, reading)
            return try Merge.Part(
                file: file, changes: context.plugIns.changes(in: file), weight: adapter.strength)
        }
        if adaptersOnly { return try stack(parts, console) }
        let merge = try Merge(parts, into: Checkpoint(base))
        merge.notes.forEach(console.note)
        let tokens = try AddedTokensFile(merge.newTokens, beside: output)
        try merge.write(to: output)
        try tokens?.write()
        for licence in Set(parts.compactMap { $0.file.weights.metadata["base_licence"] }).sorted() {
            console.note("licence: \(licence)")
        }
        if let tokens { console.note(tokens.note) }
        if json {
            try console.result(report(merge))
        } else {
            try console.result("\(merge.touched) of \(merge.base.file.entries.count) tensors changed, in \(output)")
        }
    }

    /// Several adapters as one, without a base.
    private func stack(_ parts: [Merge.Part], _ console: Output) throws {
        let stack = try AdapterStack(parts)
        stack.notes.forEach(console.note)
        try stack.write(to: output)
        if json {
            try console.result([
                "output": .string(output), "modules": .integer(stack.ranks.count),
                "ranks": .array(Set(stack.ranks).sorted().map(JSON.integer)),
                "notes": .array(stack.notes.map(JSON.string)),
            ])
        } else {
            let ranks = Set(stack.ranks).sorted().map(String.init).joined(separator: ", ")
            try console.result("\(stack.ranks.count) modules of rank \(ranks) in \(output)")
        }
    }

    private func report(_ merge: Merge) -> JSON {
        var ids = JSON.Object()
        for token in merge.newTokens { ids[token.text] = .integer(token.id) }
        return [
            "output": .string(output), "tensors": .integer(merge.base.file.entries.count),
            "changed": .integer(merge.touched), "new_tokens": .object(ids),
            "notes": .array(merge.notes.map(JSON.string)),
        ]
    }
}

/// New tokens in transformers' `added_tokens.json`, which a tokenizer reads beside its vocabulary.
private struct AddedTokensFile {
    private let path: String
    private let ids: JSON.Object
    let note: String

    /// - Returns: nil where there are no new tokens.
    /// - Throws: a failure of the input where a file that is there says something else.
    init?(_ tokens: [(text: String, id: Int)], beside output: String) throws {
        guard let last = tokens.last else { return nil }
        path = sibling("added_tokens.json", of: output)
        var ids = fileExists(path) ? try JSON.read(path).objectValue ?? .init() : JSON.Object()
        for token in tokens {
            let id = JSON.integer(token.id)
            let clash = ids.first { ($0.key == token.text) != ($0.value == id) }
            if let clash {
                throw Failure.input(
                    "the tokens of the folder clash with the new ones", at: .init(path),
                    expected: "\(token.text) as \(token.id)", got: "\(clash.key) as \(clash.value.text())",
                    advice: "write to another folder, or move that file away")
            }
            ids[token.text] = id
        }
        self.ids = ids
        let list = tokens.map { "\($0.text) is \($0.id)" }.joined(separator: ", ")
        note =
            "new tokens: \(list); \(path) names them. The tokenizer's files belong beside it, and config.json wants "
            + "vocab_size \(last.id + 1)"
    }

    func write() throws { try writeAtomically(JSON.object(ids).text() + "\n", to: path) }
}
