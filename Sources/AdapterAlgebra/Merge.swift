import AdapterKit
import Cascade
import Failures
import Files
import JSON
import Torch
import Weights

/// Adapters added to a base's weights for good, tensor by tensor from mapped files.
///
/// All is checked before anything is written. Tensors that no adapter touches are copied as they are, bit by bit.
public struct Merge {
    /// An adapter and what it counts.
    public struct Part {
        /// Where the adapter comes from; its metadata say which base it was trained on.
        public let file: AdapterFile
        /// What it changes in the tensors of a checkpoint.
        public let changes: [WeightChange]
        /// Multiplies all that the adapter adds.
        public let weight: Double

        /// - Parameters:
        ///   - file: where the adapter comes from.
        ///   - changes: what it changes.
        ///   - weight: multiplies all that it adds; 1 as it was trained.
        public init(file: AdapterFile, changes: [WeightChange], weight: Double) {
            self.file = file
            self.changes = changes
            self.weight = weight
        }
    }

    /// The checkpoint that the adapters are added to.
    public let base: Checkpoint
    /// Ids of new tokens by their text, in the order of their rows.
    public private(set) var newTokens: [(text: String, id: Int)] = []
    /// What a person has to know.
    public private(set) var notes: [String] = []
    private let parts: [Part]
    private var patches: [String: TensorPatches] = [:]

    /// Finds where everything goes.
    /// - Throws: a failure of the input that names what does not fit the base.
    public init(_ parts: [Part], into base: Checkpoint) throws {
        if let dtype = base.quantisation {
            throw Failure.input(
                "the base's weights are quantised", at: .init(base.file.path),
                expected: "the weights that they were made from", got: dtype.rawValue,
                advice: "merge into the original file; `models quantise` makes a quantised one of the result")
        }
        self.base = base
        self.parts = parts
        let targets = MergeTargets(base)
        for part in base.parts where parts.contains(where: { $0.changes.contains { $0.part == part } }) {
            if let note = base.noteOnPlaces(of: part, "changed") { notes.append(note) }
        }
        for part in parts {
            try check(part, targets)
            for change in part.changes where base.parts.contains(change.part) {
                switch change {
                case .lowRank(let change): try add(change, part, targets)
                case .module(let change): try add(change, part, targets)
                case .rows(let change): try add(change, part, targets)
                }
            }
        }
    }

    /// How many stored tensors change.
    public var touched: Int { patches.count }

    /// Writes the merged weights in the base's layout, names and dtypes, as one safetensors file.
    public func write(to path: String) throws {
        let stored = base.file.entries
        let entries = stored.map { entry in
            guard let added = patches[entry.name]?.appended.count, added > 0 else { return entry }
            return TensorEntry(
                name: entry.name, dtype: entry.dtype, shape: [entry.shape[0] + added] + entry.shape.dropFirst())
        }
        try SafetensorsWriter.stream(
            entries, metadata: metadata(), alignment: alignment(of: stored), to: path
        ) { position, file in
            let name = stored[position].name
            let tensor = try base.file.required(name)
            if let patches = patches[name] {
                try patches.apply(to: tensor) { try file.write($0) }
            } else {
                try tensor.contiguous().withBytes { try file.write($0) }
            }
        }
    }

    // MARK: Finding places

    private mutating func check(_ part: Part, _ targets: MergeTargets) throws {
        let place = Failure.Place(part.file.path)
        guard part.weight.isFinite else {
            throw Failure.input("a weight that is no number", at: place, got: "\(part.weight)")
        }
        let here = part.changes.filter { base.parts.contains($0.part) }
        let elsewhere = Set(part.changes.map(\.part)).subtracting(base.parts).map(\.description).sorted()
        guard !here.isEmpty else {
            throw Failure.input(
                "the adapter changes nothing in this base", at: place,
                expected: "a base with \(elsewhere.joined(separator: " or "))",
                got: base.parts.isEmpty ? "\(base.file.path), which is not a known checkpoint" : base.holdings)
        }
        let published = ModelSize.all.filter { $0.part == .stageC && $0.isPublished }.map(\.name)
        if let named = part.file.weights.metadata["base_model"], published.contains(named),
            let size = base.size(of: .stageC), published.contains(size), named != size
        {
            throw Failure.input(
                "the adapter is for another base", at: place, expected: "an adapter of \(size)", got: named)
        }
        let misfits = here.compactMap { targets.misfit($0) }
        if let first = misfits.first {
            throw Failure.input(
                "the adapter does not fit this base: "
                    + (misfits.count == 1 ? first.what : "\(misfits.count) weights, such as \(first.what)"),
                at: place, expected: first.expected, got: first.got)
        }
        if !elsewhere.isEmpty {
            notes.append(
                "\(part.file.path): what it changes in the \(elsewhere.joined(separator: " and the ")) is left out, "
                    + "for the base has none; merge it into that as well")
        }
    }

    private mutating func add(_ change: LowRankChange, _ part: Part, _ targets: MergeTargets) throws {
        let path = change.module.path
        guard try change.up.to(dtype: .float32).isAllFinite(), try change.down.to(dtype: .float32).isAllFinite() else {
            throw Self.notFinite(path, part)
        }
        let scale = Float(change.scale * part.weight)
        for (target, rows, own) in targets.places(of: change.module) {
            let up = try change.up.sliced(0, own)
            let product =
                if target.isTransposed {
                    TensorPatches.Product(
                        up: try change.down.transposed(0, 1), down: try up.transposed(0, 1), scale: scale,
                        rows: 0..<target.entry.shape[0])
                } else {
                    TensorPatches.Product(up: up, down: change.down, scale: scale, rows: rows)
                }
            patches[target.entry.name, default: TensorPatches()].steps.append(.product(product))
        }
    }

    private mutating func add(_ change: ModuleChange, _ part: Part, _ targets: MergeTargets) throws {
        guard try change.isAllFinite() else { throw Self.notFinite(change.module.path, part) }
        for (target, rows, own) in targets.places(of: change.module) {
            let rewrite = TensorPatches.Rewrite(rows: rows, isTransposed: target.isTransposed) { weight, changed in
                let first = own.lowerBound + changed.lowerBound
                return try change(weight, rows: first..<first + changed.count, strength: part.weight)
            }
            patches[target.entry.name, default: TensorPatches()].steps.append(.rewrite(rewrite))
        }
    }

    private static func notFinite(_ path: String, _ part: Part) -> Failure {
        .input("the adapter of `\(path)` holds numbers that are not finite", at: .init(part.file.path))
    }

    private mutating func add(_ change: RowChange, _ part: Part, _ targets: MergeTargets) throws {
        let place = Failure.Place(part.file.path)
        let delta = try change.delta.values(as: Float.self)
        let start = try change.start?.values(as: Float.self) ?? [Float](repeating: 0, count: delta.count)
        guard start.allSatisfy(\.isFinite), delta.allSatisfy(\.isFinite) else {
            throw Failure.input("the learned tokens hold numbers that are not finite", at: place)
        }
        guard let entry = targets[change.part, change.key].first?.entry else { return }
        let width = change.delta.size(1)
        let weight = Float(part.weight)
        for (index, row) in change.rows.enumerated() {
            let numbers = index * width..<(index + 1) * width
            let added = delta[numbers].map { weight * $0 }
            if row.isNew {
                guard !newTokens.contains(where: { $0.text == row.text }) else {
                    throw Failure.input("two adapters have the same new token", at: place, got: row.text)
                }
                newTokens.append((row.text, entry.shape[0] + newTokens.count))
                patches[entry.name, default: TensorPatches()].appended.append(zip(start[numbers], added).map(+))
            } else {
                let before = patches[entry.name]?.additions[row.id]
                patches[entry.name, default: TensorPatches()].additions[row.id] =
                    before.map { zip($0, added).map(+) } ?? added
            }
        }
    }

    // MARK: The file

    /// Where the data of the base begin in their page, so that what is copied keeps its place in one.
    private func alignment(of entries: [TensorEntry]) throws -> Int {
        guard let first = entries.first(where: { $0.byteCount > 0 }) else { return 0 }
        let tensor = try base.file.required(first.name).contiguous()
        let offset = tensor.withBytes { Int(bitPattern: $0.baseAddress) % StreamedFile.alignment }
        return offset % 8 == 0 ? offset : 0
    }

    /// The base's texts and what was added to it.
    private func metadata() -> [String: String] {
        var metadata = base.file.metadata
        metadata["merged_adapters"] =
            JSON.array(
                parts.map { part in
                    let texts = part.file.weights.metadata
                    return [
                        "file": .string(lastComponent(of: part.file.path)),
                        "kind": .string(part.file.kinds.joined(separator: ",")), "weight": .number(part.weight),
                        "trained_steps": .integer(part.file.trainedSteps),
                        "base_sha256": texts["base_sha256"].map(JSON.string) ?? .null,
                    ]
                }
            ).text()
        let licences = parts.compactMap { $0.file.weights.metadata["base_licence"] }
        if metadata["licence"] == nil, let licence = licences.first { metadata["licence"] = licence }
        if !newTokens.isEmpty {
            var ids = JSON.Object()
            for token in newTokens { ids[token.text] = .integer(token.id) }
            metadata["new_tokens"] = JSON.object(ids).text()
        }
        return metadata
    }
}
