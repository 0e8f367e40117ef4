import AdapterKit
import Cascade
import Failures
import JSON
import Layers
import Weights

/// The official code's LoRA files: `weights.{n}.lora_down` and `weights.{n}.lora_up`, which module is which known from
/// the number alone.
public enum PositionalFormat: ModuleFormat {
    /// Written with `--format stability`.
    public static let exported = AdapterFormat.stability
    /// What messages call such a file.
    public static let foreign = ForeignFormat("lora-reference", "LoRA as the official code writes it (no module names)")
    /// The modules of the official configuration.
    static let standardFilters = [".attn"]
    static let filtersKey = "module_filters"

    static func downKey(_ index: Int) -> String { "weights.\(index).lora_down" }
    static func upKey(_ index: Int) -> String { "weights.\(index).lora_up" }

    /// Whether any key begins with `weights.` and ends in one of the two matrices' names.
    public static func isPresent(in file: any NamedTensors) -> Bool {
        file.entries.contains {
            $0.name.hasPrefix("weights.") && ($0.name.hasSuffix(".lora_down") || $0.name.hasSuffix(".lora_up"))
        }
    }

    /// The modules of a file, the keys they are made of, and the filters that selected them.
    public static func read(
        _ file: any NamedTensors, _ reading: AdapterReading
    ) throws -> (modules: [ModuleMatrices], used: Set<String>, filters: [String]) {
        let place = Failure.Place(file.path)
        let pairs = try pairs(of: file)
        let filters = try filters(of: file, reading)
        let layouts =
            try reading.architecture.map { [("this Stage C", try PositionalLayout($0, filters: filters))] }
            ?? StageCConfiguration.known.map { ($0.name, try PositionalLayout($0.configuration, filters: filters)) }
        guard let layout = layouts.first(where: { fits($0.1, pairs) })?.1 else {
            let counts = layouts.map { "\($0.1.units.count) in \($0.0)" }.joined(separator: ", ")
            throw Failure.input(
                "the LoRA's \(pairs.count) modules, which it does not name, are not those that \(filters) selects",
                at: place, expected: "\(counts), of its shapes",
                got: "\(pairs.count), the first of \(pairs[0].down.shape) and \(pairs[0].up.shape)",
                advice: "give the architecture (--arch FILE) and the module_filters it was trained with "
                    + "(--module-filters .attn,channelwise)")
        }
        var modules: [ModuleMatrices] = []
        for (unit, pair) in zip(layout.units, pairs) {
            let name = unit.modules.count == 3 ? "\(unit.name).\(Attention.fused)" : unit.name
            let kernel = unit.modules.first { $0.kernelSide != nil }
            let down = kernel.map { pair.down.repeated($0.inputs) } ?? pair.down
            modules += try ModuleMatrices(of: LoRA.self, name, [down, pair.up], alpha: 1, at: place)
                .thirds(of: LoRA.self, at: place)
        }
        let used = pairs.indices.flatMap { [downKey($0), upKey($0)] }
        return (modules, Set(used), filters)
    }

    private static func filters(of file: any NamedTensors, _ reading: AdapterReading) throws -> [String] {
        if !reading.moduleFilters.isEmpty { return reading.moduleFilters }
        guard let text = file.metadata[filtersKey],
            let filters = try? JSON.parse(text, file: file.path).arrayValue?.compactMap(\.stringValue),
            !filters.isEmpty
        else { return standardFilters }
        return filters
    }

    /// Every pair in order, with nothing missing and nothing alone.
    private static func pairs(of file: any NamedTensors) throws -> [(down: StoredTensor, up: StoredTensor)] {
        var pairs: [(down: StoredTensor, up: StoredTensor)] = []
        while let down = file[downKey(pairs.count)], let up = file[upKey(pairs.count)] {
            pairs.append((StoredTensor(down, in: file), StoredTensor(up, in: file)))
        }
        let present = file.entries.count { $0.name.hasPrefix("weights.") }
        guard present == 2 * pairs.count, !pairs.isEmpty else {
            throw Failure.input(
                "the LoRA's modules are not numbered through", at: Failure.Place(file.path),
                expected: "`\(downKey(pairs.count))` and `\(upKey(pairs.count))`", got: "one of them, or neither")
        }
        return pairs
    }

    private static func fits(_ layout: PositionalLayout, _ pairs: [(down: StoredTensor, up: StoredTensor)]) -> Bool {
        layout.units.count == pairs.count
            && zip(layout.units, pairs).allSatisfy { unit, pair in
                pair.down.shape.count == 2 && pair.up.shape.count == 2 && pair.down.shape[1] == unit.inputs
                    && pair.up.shape[0] == unit.outputs && pair.down.shape[0] == pair.up.shape[1]
            }
    }
}
