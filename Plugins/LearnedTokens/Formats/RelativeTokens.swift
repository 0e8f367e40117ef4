import AdapterKit
import Cascade
import Failures
import JSON
import Torch
import Weights

/// The official code's token files: `embeddings.embeddings` [k, c], what is added to rows of the text encoder's table,
/// and `embeddings.indices` [k], which rows. A new token's row is its id; its text and its start are not in the file.
enum RelativeTokens {
    static let foreign = ForeignFormat("tokens-reference", "learned tokens as the official code writes them")
    private static let deltaKey = "embeddings.embeddings"
    private static let indexKey = "embeddings.indices"

    static func isPresent(in file: any NamedTensors) -> Bool { file[deltaKey] != nil || file[indexKey] != nil }

    static func read(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter? {
        let place = Failure.Place(file.path)
        guard let delta = file[deltaKey], let indices = file[indexKey], delta.shape.count == 2,
            indices.shape == [delta.shape[0]], delta.dtype.isFloatingPoint
        else {
            throw Failure.input(
                "the learned tokens are damaged", at: place, expected: "\(deltaKey) [k, c] and \(indexKey) [k]",
                got: "\(file[deltaKey].map { "\($0.shape)" } ?? "nothing") and "
                    + "\(file[indexKey].map { "\($0.shape)" } ?? "nothing")")
        }
        var adapter = ForeignAdapter(kind: LearnedTokens.kind.name, format: foreign)
        adapter.used = [deltaKey, indexKey]
        let ids = try file.required(indexKey).to(dtype: .int64).values(as: Int.self)
        // A LoRA without tokens has an empty pair.
        if ids.isEmpty { return adapter }
        guard ids.allSatisfy({ (0..<1 << 31).contains($0) }), Set(ids).count == ids.count else {
            throw Failure.input("the tokens' indices cannot be rows of a table", at: place, got: "\(ids.prefix(8))")
        }
        let rows = try rows(ids, file, reading)
        adapter.describe("tokens", StoredTokens.describe(rows))
        let stored = StoredTensor(delta, in: file)
        adapter.tensors = [(TokensKind.deltaKey, stored)]
        if let text = reading.text {
            adapter.tensors.append((TokensKind.startKey, StoredTensor(try starts(of: rows, text))))
        }
        return adapter
    }

    /// Texts of the vocabulary for its own rows, those given for new ones in the order of their ids.
    private static func rows(
        _ ids: [Int], _ file: any NamedTensors, _ reading: AdapterReading
    ) throws -> [LearnedRows.Row] {
        let carried = try carried(by: file)
        let known = reading.text?.tower.tokenTable.count ?? TokensKind.vocabulary
        var given = reading.tokens.filter { token in !carried.contains { $0.text == token.text } }[...]
        let texts = Dictionary(
            uniqueKeysWithValues: ids.sorted().filter { $0 >= known }.map { ($0, given.popFirst()) })
        return try ids.map { id in
            if let row = carried.first(where: { $0.id == id }) { return row }
            if id < known {
                let text = reading.text?.tokenizer.token(id) ?? "token \(id)"
                return .init(id: id, text: text, isNew: false, pattern: nil)
            }
            guard let token = texts[id] ?? nil else {
                throw Failure.input(
                    "the file has a new token, \(id), without its text", at: Failure.Place(file.path),
                    expected: "the text and the pattern it started from, as `train_tokens` had them",
                    advice: "--token '[rex]=^dog</w>', once for each new token in the order of training")
            }
            return .init(id: id, text: token.text, isNew: true, pattern: token.pattern)
        }
    }

    /// Where rows start, [k, c]: as the table has them, new ones as the average of what their pattern finds.
    static func starts(of rows: [LearnedRows.Row], _ text: TextEncoder) throws -> Tensor {
        try .stacked(
            rows.map { row in
                if row.isNew {
                    return try LearnedRows.start(
                        of: row.pattern, in: text.tokenizer, text.tower.tokenTable.weight, at: nil)
                }
                guard row.id < text.tower.tokenTable.count else {
                    throw Failure.input("a learned token is not in this vocabulary", got: row.text)
                }
                return try text.tower.tokenTable.weight.selected(0, row.id).to(dtype: .float32)
            })
    }

    /// What a file that we exported says of its tokens.
    static func carried(by file: any NamedTensors) throws -> [LearnedRows.Row] {
        guard let text = AdapterFile.carried(by: file)["tokens"] else { return [] }
        return try JSON.parse(text, file: file.path).arrayValue?.compactMap { row in
            guard let name = row["text"]?.stringValue, let id = row["id"]?.intValue, let isNew = row["new"]?.boolValue
            else { return nil }
            return .init(id: id, text: name, isNew: isNew, pattern: row["pattern"]?.stringValue)
        } ?? []
    }

    static func write(_ stored: StoredTokens, to export: inout AdapterExport) throws {
        export.main.tensors += [
            (deltaKey, try stored.delta().contiguous()), (indexKey, try Tensor(stored.rows.map(\.id))),
        ]
        let new = stored.rows.filter(\.isNew)
        guard !new.isEmpty else { return }
        let texts = new.map { "['\($0.text)', \($0.pattern.map { "'\($0)'" } ?? "null")]" }
        export.notes.append("the file has no token texts: load it with train_tokens [\(texts.joined(separator: ", "))]")
    }
}
