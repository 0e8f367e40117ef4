import AdapterKit
import Failures
import JSON
import Torch

/// Learned tokens as a file holds them.
struct StoredTokens {
    let rows: [LearnedRows.Row]
    /// Where the rows start, [k, c]; nil where the file has relative vectors alone.
    let start: StoredTensor?
    /// What was learned, [k, c].
    let delta: StoredTensor

    /// - Throws: a failure of the input where the description is damaged or the shapes do not fit it.
    init(_ file: AdapterFile) throws {
        let place = Failure.Place(file.path)
        rows = try (file.described("tokens").arrayValue ?? []).map { row in
            guard let text = row["text"]?.stringValue, let id = row["id"]?.intValue, let isNew = row["new"]?.boolValue,
                id >= 0, id < 1 << 31
            else { throw Failure.input("the description of the tokens is damaged", at: place, got: row.text()) }
            return .init(id: id, text: text, isNew: isNew, pattern: row["pattern"]?.stringValue)
        }
        func stored(_ key: String) -> StoredTensor? { file.weights[key].map { StoredTensor($0, in: file.weights) } }
        start = stored(TokensKind.startKey)
        guard let delta = stored(TokensKind.deltaKey) else {
            throw Failure.input("there is no tensor `\(TokensKind.deltaKey)`", at: place)
        }
        self.delta = delta
        guard !rows.isEmpty, delta.shape.count == 2, delta.shape[0] == rows.count,
            start?.shape ?? delta.shape == delta.shape
        else {
            throw Failure.input(
                "the learned tokens do not fit their description", at: place,
                expected: "shape [\(rows.count), …] of start and delta",
                got: "\(start.map { "\($0.shape)" } ?? "nothing") and \(delta.shape)")
        }
        if let twice = Dictionary(grouping: rows, by: \.text).first(where: { $0.value.count > 1 })?.key {
            throw Failure.input("the file has a token twice", at: place, got: twice)
        }
    }

    var width: Int { delta.shape[1] }

    static func describe(_ rows: [LearnedRows.Row]) -> JSON {
        .array(
            rows.map { row in
                [
                    "text": .string(row.text), "id": .integer(row.id), "new": .bool(row.isNew),
                    "pattern": row.pattern.map(JSON.string) ?? .null,
                ]
            })
    }

    /// The vectors that other programs put in the tokens' places, [k, c], float32.
    /// - Throws: a failure of the input where the file has relative vectors alone.
    func vectors(at place: Failure.Place) throws -> Tensor {
        guard let start else {
            throw Failure.input(
                "the file has only what was added to the tokens' vectors", at: place,
                expected: "the text model they were trained on",
                advice: "export it to native first, with --clip-text FOLDER")
        }
        return try start().to(dtype: .float32) + delta().to(dtype: .float32)
    }
}
