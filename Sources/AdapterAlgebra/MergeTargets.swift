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

    /// Where a module's weight is stored: the target, the rows of it that are the module's, and which of the module's rows
    /// those are. A transposed target has them as columns.
    func places(of module: ModuleWeight) -> [(target: Target, rows: Range<Int>, own: Range<Int>)] {
        self[module.part, module.key].compactMap { target in
            let common = target.rows.clamped(to: module.rows)
            if common.isEmpty { return nil }
            func from(_ first: Int) -> Range<Int> { common.lowerBound - first..<common.upperBound - first }
            return (target, from(target.rows.lowerBound), from(module.rows.lowerBound))
        }
    }

    /// Why a change cannot be made; nil where it can.
    func misfit(_ change: WeightChange) -> Misfit? {
        switch change {
        case .lowRank(let change): misfit(change.module, inputs: change.inputs)
        case .module(let change): misfit(change.module, inputs: change.inputs)
        case .rows(let change): misfit(change)
        }
    }

    /// - Parameter inputs: numbers in a row of the module; nil where the adapter does not say.
    private func misfit(_ module: ModuleWeight, inputs: Int?) -> Misfit? {
        let found = self[module.part, module.key]
        let covered = found.reduce(0) { $0 + $1.rows.clamped(to: module.rows).count }
        guard let first = found.first else {
            return Misfit(what: "`\(module.path)`", expected: "a module of the base", got: "none of that name")
        }
        guard found.allSatisfy({ $0.height == module.height && $0.width == inputs ?? $0.width }),
            covered == module.rows.count
        else {
            return Misfit(
                what: "`\(module.path)`",
                expected: "[\(first.height * module.rows.count / module.height), \(first.width)]",
                got: "[\(module.rows.count), \(inputs.map(String.init) ?? "any")]")
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
