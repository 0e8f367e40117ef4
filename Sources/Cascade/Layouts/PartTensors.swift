import Failures
import Torch
import Weights

/// The tensors of one part of a checkpoint by their official names: blocks of rows put together, transposes undone.
final class PartTensors: NamedTensors {
    let entries: [TensorEntry]
    private let checkpoint: Checkpoint
    private let root: PartRoot
    private let sources: [String: [Source]]
    private let positions: TensorPositions

    private struct Source {
        let entry: TensorEntry
        let place: TensorPlace
    }

    init(_ checkpoint: Checkpoint, _ root: PartRoot) throws {
        self.checkpoint = checkpoint
        self.root = root
        var order: [String] = []
        var sources: [String: [Source]] = [:]
        for entry in checkpoint.file.entries {
            guard let place = checkpoint.place(of: entry.name), place.part == root.part else { continue }
            if sources[place.key] == nil { order.append(place.key) }
            sources[place.key, default: []].append(Source(entry: entry, place: place))
        }
        let at = Failure.Place(checkpoint.file.path)
        let sorted = try sources.mapValues { try Self.ordered($0, at) }
        self.sources = sorted
        entries = order.compactMap { key in sorted[key].flatMap { Self.entry(key, $0) } }
        positions = TensorPositions(ofView: entries)
    }

    var path: String { checkpoint.file.path }
    var metadata: [String: String] { checkpoint.file.metadata }
    subscript(name: String) -> TensorEntry? { positions[name].map { entries[$0] } }

    func storedName(of name: String) -> String {
        if let only = sources[name], only.count == 1, let source = only.first, source.place.rows == nil {
            return source.entry.name
        }
        return root.prefix + KeyRules(part: root.part).stored(name, in: checkpoint.layout)
    }

    func tensor(_ name: String) throws -> Tensor? {
        guard let entry = self[name], let sources = sources[name] else { return nil }
        let pieces = try sources.map { source in
            let stored = try checkpoint.file.required(source.entry.name).to(dtype: entry.dtype)
            return source.place.isTransposed && stored.rank == 2 ? try stored.transposed(0, 1).contiguous() : stored
        }
        return pieces.count == 1 ? pieces[0] : try .concatenated(pieces, dimension: 0)
    }

    func release(_ name: String) {
        for source in sources[name] ?? [] { checkpoint.file.release(source.entry.name) }
    }

    /// The pieces of one official tensor from its first row on.
    /// - Throws: a failure of the input where two tensors say the same, or the pieces do not fit together.
    private static func ordered(_ sources: [Source], _ at: Failure.Place) throws -> [Source] {
        guard sources.count > 1 else { return sources }
        let sorted = sources.sorted { ($0.place.rows?.lowerBound ?? 0) < ($1.place.rows?.lowerBound ?? 0) }
        let names = sorted.map(\.entry.name).joined(separator: ", ")
        guard Set(sorted.map { $0.place.rows?.lowerBound ?? -1 }).count == sorted.count || sorted[0].entry.count == 0,
            !sorted.contains(where: { $0.place.rows == nil })
        else { throw Failure.input("the weights say one thing twice: \(names)", at: at) }
        guard sorted.allSatisfy({ $0.entry.shape == sorted[0].entry.shape }) else {
            throw Failure.input(
                "parts of one weight do not fit together: \(names)", at: at, expected: "one shape",
                got: sorted.map { "\($0.entry.shape)" }.joined(separator: ", "))
        }
        return sorted
    }

    /// What is known of an official tensor; nil where one of its three pieces is missing.
    private static func entry(_ key: String, _ sources: [Source]) -> TensorEntry? {
        guard let first = sources.first, first.place.rows == nil || sources.count == 3 else { return nil }
        var shape = first.entry.shape
        if first.place.isTransposed && shape.count == 2 { shape.reverse() }
        if first.place.rows != nil { shape[0] *= 3 }
        return TensorEntry(name: key, dtype: first.entry.dtype, shape: shape)
    }
}
