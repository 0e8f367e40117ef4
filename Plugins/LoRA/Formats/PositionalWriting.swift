import AdapterKit
import Cascade
import Failures
import JSON
import Layers
import Torch

extension PositionalFormat {
    /// Writes modules by position.
    ///
    /// The official code has one rank for all modules, fuses query, key and value, and scales by 1 / rank: smaller
    /// ranks are padded with zeros, three separate projections become one of three times the rank whose up matrix is
    /// block-diagonal, and what alpha says besides goes into the up matrix. All of it is exact but for rounding.
    public static func write(_ modules: [ModuleMatrices], of file: AdapterFile, to export: inout AdapterExport) throws {
        let place = Failure.Place(file.path)
        if let text = modules.first(where: \.isOfText) {
            throw Failure.input(
                "stability has no place for a LoRA on the text encoder", at: place, got: "`\(text.path)`",
                advice: "kohya, comfyui and diffusers have one")
        }
        let (configuration, name) = try architecture(modules, of: file, export)
        let (layout, filters) = try layout(configuration, modules, of: file, export)
        let byPath = Dictionary(modules.map { ($0.path, $0) }) { first, _ in first }
        let pairs = try layout.units.map { unit in try Pair(unit, byPath, at: place) }
        let rank = pairs.map(\.rank).max() ?? 1
        for (index, pair) in pairs.enumerated() {
            let (down, up) = try pair.padded(to: rank)
            export.main.tensors += [(downKey(index), down), (upKey(index), up)]
        }
        if !export.kinds.contains("tokens") {
            // The official code loads strictly, and makes room for tokens even where it trains none.
            export.main.tensors += [
                ("embeddings.embeddings", try .zeros([0, configuration.clipTextWidth])),
                ("embeddings.indices", try .zeros([0], dtype: .int64)),
            ]
        }
        let listed = JSON.array(filters.map(JSON.string)).text()
        export.main.metadata[filtersKey] = listed
        export.notes.append(
            "the file names no modules: load it with module_filters \(listed), rank \(rank)"
                + (name.map { ", model_version \($0)" } ?? ""))
        if pairs.contains(where: { $0.rank != rank }) || rank != modules.compactMap(\.rank).max() {
            export.notes.append(
                "separate query, key and value take three times the rank there, and one rank holds for all modules: "
                    + "padded with zeros to rank \(rank)")
        }
    }

    /// The network whose modules are counted.
    private static func architecture(
        _ modules: [ModuleMatrices], of file: AdapterFile, _ export: AdapterExport
    ) throws -> (StageCConfiguration, name: String?) {
        if let configuration = export.architecture {
            try check(modules, configuration.modules(), of: file)
            return (configuration, nil)
        }
        for (name, configuration) in StageCConfiguration.known
        where (try? check(modules, configuration.modules(), of: file)) != nil { return (configuration, name) }
        throw Failure.input(
            "the modules are counted over the whole network, and this LoRA fits no known one",
            at: Failure.Place(file.path), expected: StageCConfiguration.known.map(\.name).joined(separator: ", "),
            advice: "give its architecture: --arch FILE")
    }

    private static func check(_ modules: [ModuleMatrices], _ known: [ModuleShape], of file: AdapterFile) throws {
        let byPath = Dictionary(known.map { ($0.path, $0) }) { first, _ in first }
        for module in modules {
            guard let known = byPath[module.path], known.inputs == module.shape.inputs,
                known.outputs == module.shape.outputs
            else {
                throw Failure.input(
                    "the architecture has no such module", at: Failure.Place(file.path),
                    got: "`\(module.path)` from \(module.shape.inputs) to \(module.shape.outputs)")
            }
        }
    }

    /// Filters that select at least the modules: those that were named, those it was trained with, the official ones,
    /// or else each module by its name.
    private static func layout(
        _ configuration: StageCConfiguration, _ modules: [ModuleMatrices], of file: AdapterFile, _ export: AdapterExport
    ) throws -> (PositionalLayout, filters: [String]) {
        let trained = try file.described(filtersKey).arrayValue?.compactMap(\.stringValue) ?? []
        let all = try PositionalLayout(configuration, filters: [""])
        let paths = Set(modules.map(\.path))
        let single = all.units.filter { unit in unit.modules.contains { paths.contains($0.path) } }.map(\.name)
        for filters in [export.moduleFilters, trained, standardFilters, single] where !filters.isEmpty {
            let layout = try PositionalLayout(configuration, filters: filters)
            let covered = Set(layout.units.flatMap(\.modules).map(\.path))
            if paths.isSubset(of: covered) { return (layout, filters) }
            if filters == export.moduleFilters {
                throw Failure.input(
                    "--module-filters leaves out modules of the LoRA", at: Failure.Place(file.path),
                    expected: paths.subtracting(covered).sorted().prefix(4).joined(separator: ", "), got: "\(filters)")
            }
        }
        throw Failure.run("the LoRA's modules cannot be selected", at: Failure.Place(file.path))
    }
}

/// The two matrices of a unit, up scaled for rank `rank` and alpha of that rank.
private struct Pair {
    /// [rank, in]; nil where the LoRA leaves the unit alone.
    private var down: Tensor?
    /// [out, rank], multiplied by alpha / rank of each module.
    private var up: Tensor?
    private let unit: PositionalLayout.Unit
    private(set) var rank = 0

    init(_ unit: PositionalLayout.Unit, _ modules: [String: ModuleMatrices], at place: Failure.Place) throws {
        self.unit = unit
        let present = unit.modules.map { modules[$0.path] }
        guard let first = present.lazy.compactMap(\.self).first else { return }
        let downs = try present.map { try $0?.tensors[0]().to(dtype: .float32).contiguous() }
        let shares = try Self.areSame(downs.compactMap(\.self))
        let ranks = present.map { $0?.rank ?? 0 }
        rank = shares ? first.rank ?? 0 : ranks.reduce(0, +)
        var column = 0
        var rows: [Tensor] = []
        for ((known, module), own) in zip(zip(unit.modules, present), ranks) {
            guard let module else {
                rows.append(try .zeros([known.outputs, rank]))
                continue
            }
            // Scaled by rank as well, so that the official 1 / rank gives what alpha / rank did.
            let scaled = try module.tensors[1].scaled(by: module.scale * Double(rank))().to(dtype: .float32)
            rows.append(shares ? scaled : try scaled.padded([column, rank - column - own]))
            column += own
        }
        up = try .concatenated(rows, dimension: 0)
        down = shares ? downs.lazy.compactMap(\.self).first : try .concatenated(downs.compactMap(\.self), dimension: 0)
        if unit.modules.contains(where: { $0.kernelSide != nil }), let down, let up {
            self.down = try Self.oneColumn(of: down, up, unit, at: place)
        }
    }

    /// The column that all columns of a depthwise module's down matrix are, [rank, 1].
    /// - Throws: a failure of the input where they differ, and so does what is added to the numbers of a kernel.
    private static func oneColumn(
        of down: Tensor, _ up: Tensor, _ unit: PositionalLayout.Unit, at place: Failure.Place
    ) throws -> Tensor {
        let first = try down.sliced(1, 0..<1)
        guard try (down - first).norm().item() == 0 || up.norm().item() == 0 else {
            throw Failure.input(
                "stability adds one number to a whole depthwise kernel, and this LoRA adds different ones", at: place,
                got: "`\(unit.name)`", advice: "kohya and comfyui have a place for each")
        }
        return first
    }

    private static func areSame(_ tensors: [Tensor]) throws -> Bool {
        guard let first = tensors.first else { return false }
        return try tensors.dropFirst().allSatisfy { other in
            guard other.shape == first.shape else { return false }
            return try (other - first).abs().sum().item() == 0
        }
    }

    /// Both at a larger rank, the rest zeros, the scale made up for.
    func padded(to common: Int) throws -> (down: Tensor, up: Tensor) {
        guard let down, let up else {
            return (try .zeros([common, unit.inputs]), try .zeros([unit.outputs, common]))
        }
        guard common > rank else { return (try down.contiguous(), try up.contiguous()) }
        let factor = Double(common) / Double(rank)
        return (
            try down.padded([0, 0, 0, common - rank]).contiguous(),
            try (up * factor).padded([0, common - rank]).contiguous()
        )
    }
}
