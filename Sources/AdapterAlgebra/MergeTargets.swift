import AdapterKit
import Cascade
import Weights

/// Where the official tensors of a base are stored.
struct MergeTargets {
    /// A stored tensor, or block of rows, of an official one.
    struct Target {
        let entry: TensorEntry
        /// Of the official tensor.
        let rows: Range<Int>
        /// All rows of the official tensor.
        let height: Int
        /// Numbers in each official row.
        let width: Int
        let isTransposed: Bool
    }

    /// What of an adapter has no place in the base.
    struct Misfit {
        let what: String
        let expected: String
        let got: String
    }

    private var targets: [ModelPart: [String: [Target]]] = [:]

    init(_ base: Checkpoint) {
        for entry in base.file.entries {
            guard let place = base.place(of: entry.name), entry.dtype.isFloatingPoint, let first = entry.shape.first,
                first > 0, entry.count > 0
            else { continue }
            let isTransposed = place.isTransposed && entry.shape.count == 2
            let rows = isTransposed ? entry.shape[1] : first
            targets[place.part, default: [:]][place.key, default: []].append(
                Target(
                    entry: entry, rows: place.rows ?? 0..<rows, height: place.rows == nil ? rows : 3 * rows,
                    width: entry.count / rows, isTransposed: isTransposed))
        }
    }

    subscript(part: ModelPart, key: String) -> [Target] { targets[part]?[key] ?? [] }

    /// Why a change cannot be made; nil where it can.
    func misfit(_ change: WeightChange) -> Misfit? {
        switch change {
        case .lowRank(let change): misfit(change)
        case .rows(let change): misfit(change)
        }
    }

    private func misfit(_ change: LowRankChange) -> Misfit? {
        let module = change.module
        let found = self[module.part, module.key]
        let covered = found.reduce(0) { $0 + $1.rows.clamped(to: module.rows).count }
        guard let first = found.first else {
            return Misfit(what: "`\(module.path)`", expected: "a module of the base", got: "none of that name")
        }
        guard found.allSatisfy({ $0.height == module.height && $0.width == change.inputs }),
            covered == module.rows.count
        else {
            return Misfit(
                what: "`\(module.path)`",
                expected: "[\(first.height * module.rows.count / module.height), \(first.width)]",
                got: "[\(module.rows.count), \(change.inputs)]")
        }
        return nil
    }

    private func misfit(_ change: RowChange) -> Misfit? {
        let found = self[change.part, change.key]
        guard found.count == 1, let table = found.first, !table.isTransposed else {
            return Misfit(what: "the learned tokens", expected: "a table `\(change.key)`", got: "none")
        }
        guard table.width == change.delta.size(1) else {
            return Misfit(
                what: "the learned tokens", expected: "vectors of \(table.width) numbers",
                got: "\(change.delta.size(1))")
        }
        if change.start == nil, let new = change.rows.first(where: \.isNew) {
            return Misfit(
                what: "the new token \(new.text)",
                expected: "the vector it starts from (export --clip-text FOLDER adds it)",
                got: "only what was added to it")
        }
        if let strange = change.rows.first(where: { !$0.isNew && !table.rows.contains($0.id) }) {
            return Misfit(
                what: "the token \(strange.text)", expected: "an id below \(table.height)", got: "\(strange.id)")
        }
        return nil
    }
}
