import AdapterKit
import Failures
import JSON
import Torch

/// The learned tokens of several adapters together: each token once, with the sum of what was learned.
struct StackedRows {
    /// The kind of adapter that they are, the keys of its tensors in a native file, and its description.
    static let kind = "tokens"
    private static let (startKey, deltaKey) = ("tokens.start", "tokens.delta")

    private struct Row {
        var description: JSON.Object
        let change: RowChange.Row
        /// [1, c], float32; nil where no file says it.
        let start: Tensor?
        var delta: Tensor
    }

    private var rows: [Row] = []

    var isEmpty: Bool { rows.isEmpty }

    /// Adds the tokens of a file.
    /// - Throws: a failure of the input where the file lacks starting vectors that others have, or has a new token that
    ///   started elsewhere in another.
    mutating func add(_ change: RowChange, of part: Merge.Part) throws {
        let place = Failure.Place(part.file.path)
        let descriptions = try part.file.described("tokens").arrayValue?.compactMap(\.objectValue) ?? []
        let (start, delta) = try (
            change.start?.to(dtype: .float32), change.delta.to(dtype: .float32) * part.weight
        )
        guard descriptions.count == change.rows.count, try delta.isAllFinite(), try start?.isAllFinite() ?? true else {
            throw Failure.input("the learned tokens hold numbers that are not finite", at: place)
        }
        if let first = rows.first {
            guard first.delta.size(1) == delta.size(1), (first.start == nil) == (start == nil) else {
                throw Failure.input(
                    "the learned tokens do not fit those of the other adapters", at: place,
                    expected:
                        "\(first.delta.size(1)) numbers \(first.start == nil ? "without" : "with") where they start",
                    got: "\(delta.size(1)) \(start == nil ? "without" : "with") it",
                    advice: "export it to native first, with --clip-text FOLDER")
            }
        }
        for (index, row) in change.rows.enumerated() {
            func own(_ tensor: Tensor) throws -> Tensor { try tensor.sliced(0, index..<index + 1).contiguous() }
            let added = Row(
                description: descriptions[index], change: row, start: try start.map(own), delta: try own(delta))
            let same = rows.firstIndex {
                $0.change.isNew == row.isNew && (row.isNew ? $0.change.text == row.text : $0.change.id == row.id)
            }
            guard let same else {
                rows.append(added)
                continue
            }
            if let from = rows[same].start, let other = added.start,
                try from.values(as: Float.self) != other.values(as: Float.self)
            {
                throw Failure.input("a token starts elsewhere in another adapter", at: place, got: row.text)
            }
            rows[same].delta = try rows[same].delta + added.delta
        }
    }

    /// Puts the tokens into a native file. New ones are numbered anew, from the lowest of their ids.
    func write(to contents: inout AdapterContents) throws {
        guard !rows.isEmpty else { return }
        var next = rows.filter(\.change.isNew).map(\.change.id).min() ?? 0
        let descriptions = rows.map { row -> JSON in
            guard row.change.isNew else { return .object(row.description) }
            var description = row.description
            description["id"] = .integer(next)
            next += 1
            return .object(description)
        }
        contents.add(kind: Self.kind)
        contents.describe("tokens", .array(descriptions))
        let starts = rows.compactMap(\.start)
        if !starts.isEmpty { contents.tensors.append((Self.startKey, try .concatenated(starts, dimension: 0))) }
        contents.tensors.append((Self.deltaKey, try .concatenated(rows.map(\.delta), dimension: 0)))
    }
}
