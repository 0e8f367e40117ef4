import AdapterKit
import Failures
import JSON
import Torch
import Weights

/// Token files of other programs.
extension TokensKind {
    /// Ids of the published vocabulary end here: new tokens are numbered from it.
    static let vocabulary = 49_408
    private static let bundle = ForeignFormat("tokens-onetrainer", "token embeddings bundled with a LoRA")
    private static let bundlePrefix = "bundle_emb."
    private static var vectorKey: String { EmbeddingFile.vectorKey }
    private static let textsKey = "token_texts"

    /// The official code's rows, an embedding file of a text encoder, or OneTrainer's embeddings within a LoRA.
    public func foreignFormat(of file: any NamedTensors) -> ForeignFormat? {
        if RelativeTokens.isPresent(in: file) { return RelativeTokens.foreign }
        if let embedding = EmbeddingFile.format(of: file) { return embedding }
        return file.entries.contains { $0.name.hasPrefix(Self.bundlePrefix) } ? Self.bundle : nil
    }

    /// The tokens under the texts that the file or `reading` has, else under the file's word: `cat`, `cat-2`.
    /// - Throws: a failure of the input where a vector is damaged or for another text encoder.
    public func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter? {
        guard let format = foreignFormat(of: file) else { return nil }
        if RelativeTokens.isPresent(in: file) { return try RelativeTokens.read(file, reading) }
        let place = Failure.Place(file.path)
        var adapter = ForeignAdapter(kind: name, format: format)
        var words: [(text: String, vectors: StoredTensor)] = []
        if format.name != Self.bundle.name {
            let embedding = EmbeddingFile.words(in: file)
            adapter.used = embedding.used
            words = try embedding.words.map { ($0.text, try Self.vectors($0.entry, in: file)) }
        } else {
            for entry in file.entries where entry.name.hasPrefix(Self.bundlePrefix) {
                guard entry.name.hasSuffix(".\(Self.vectorKey)") else {
                    throw Failure.input(
                        "the bundle has a vector for another text encoder", at: place,
                        expected: "\(Self.bundlePrefix)TOKEN.\(Self.vectorKey)", got: entry.name)
                }
                adapter.used.insert(entry.name)
                let text = String(entry.name.dropFirst(Self.bundlePrefix.count).dropLast(Self.vectorKey.count + 1))
                words.append((text, try Self.vectors(entry, in: file)))
            }
        }
        guard let width = words.first?.vectors.shape[1], words.allSatisfy({ $0.vectors.shape[1] == width }) else {
            throw Failure.input("the tokens' vectors differ in width", at: place)
        }
        // Where we wrote the file, its texts say more than its name does.
        let known = try Self.texts(of: file)
        var names = words.flatMap { word, vectors in
            (0..<vectors.shape[0]).map { $0 == 0 ? word : "\(word)-\($0 + 1)" }
        }
        if format.name == EmbeddingFile.plain.name, known.count == names.count { names = known }
        if reading.tokens.count == names.count { names = reading.tokens.map(\.text) }
        let carried = try RelativeTokens.carried(by: file)
        let rows = names.enumerated().map { index, name in
            carried.first { $0.text == name }
                ?? LearnedRows.Row(id: Self.vocabulary + index, text: name, isNew: true, pattern: nil)
        }
        adapter.describe("tokens", StoredTokens.describe(rows))
        let parts = words.map(\.vectors)
        let shape = [rows.count, width]
        let start = StoredTensor(shape: shape, dtype: .float32) {
            try .concatenated(parts.map { try $0().to(dtype: .float32) }, dimension: 0)
        }
        adapter.tensors = [
            (Self.startKey, start), (Self.deltaKey, StoredTensor(shape: shape, dtype: .float32) { try .zeros(shape) }),
        ]
        return adapter
    }

    /// A vector or several, as rows.
    private static func vectors(_ entry: TensorEntry, in file: any NamedTensors) throws -> StoredTensor {
        let shape = entry.shape.count == 1 ? [1] + entry.shape : entry.shape
        guard shape.count == 2, shape.allSatisfy({ $0 > 0 }), shape[0] <= 4096, entry.dtype.isFloatingPoint else {
            throw Failure.input(
                "`\(entry.name)` is no vector of a token", at: Failure.Place(file.path), expected: "[n, width]",
                got: "\(entry.shape) of \(entry.dtype)")
        }
        return StoredTensor(entry, in: file).reshaped(shape)
    }

    private static func texts(of file: any NamedTensors) throws -> [String] {
        guard let text = file.metadata[textsKey] else { return [] }
        return try JSON.parse(text, file: file.path).arrayValue?.compactMap(\.stringValue) ?? []
    }

    // MARK: Writing

    /// Writes what each format has room for; a note names the files and the order of the tokens in them.
    public func export(_ file: AdapterFile, to export: inout AdapterExport) throws {
        let stored = try StoredTokens(file)
        let place = Failure.Place(file.path)
        if export.format == .native {
            _ = try stored.vectors(at: place)
            return
        }
        if export.format == .stability {
            try RelativeTokens.write(stored, to: &export)
            return
        }
        let vectors = try stored.vectors(at: place)
        let isAlone = export.kinds == [name]
        if export.format == .comfyui, !isAlone || stored.rows.count > 1 {
            for (index, row) in stored.rows.enumerated() {
                let key = "\(Self.bundlePrefix)\(row.text).\(Self.vectorKey)"
                export.main.tensors.append((key, try vectors.sliced(0, index..<index + 1).contiguous()))
            }
            return
        }
        var contents = export.blank
        contents.tensors = [(Self.vectorKey, vectors)]
        contents.metadata[Self.textsKey] = JSON.array(stored.rows.map { .string($0.text) }).text()
        let texts = stored.rows.map(\.text).joined(separator: ", ")
        let file = isAlone ? "the file" : "a `\(Self.vectorKey)` embedding file beside"
        if isAlone {
            export.main = contents
        } else {
            export.beside.append(("_tokens", contents))
            export.notes.append(
                "warning: \(export.format.rawValue) has no place for tokens in a LoRA; \(texts): in \(file)")
        }
        if stored.rows.count > 1 {
            export.notes.append(
                "\(file) holds \(stored.rows.count) vectors, of \(texts) in this order; other programs take such a "
                    + "file for one word")
        }
    }
}
