import AdapterKit
import Failures
import JSON
import Torch

/// Several LoRAs as one that adds exactly what they add together: for each module their factors side by side, so that
/// ranks add up. Nothing is approximated. Learned tokens beside them add up too.
public struct AdapterStack {
    /// What a person has to know.
    public private(set) var notes: [String] = []
    private let parts: [Merge.Part]
    private let modules: [Module]
    private let tokens: StackedRows

    private struct Module {
        let path: String
        /// [out, r], float32, with scale and weight multiplied in.
        let up: Tensor
        /// [r, in], float32.
        let down: Tensor

        var rank: Int { down.size(0) }
    }

    /// - Throws: a failure of the input where a file holds more than LoRA layers and tokens, where two are for different
    ///   bases, or where they do not fit each other.
    public init(_ parts: [Merge.Part]) throws {
        self.parts = parts
        var order: [String] = []
        var found: [String: [(change: LowRankChange, part: Merge.Part)]] = [:]
        var tokens = StackedRows()
        for part in parts {
            let place = Failure.Place(part.file.path)
            guard part.weight.isFinite else {
                throw Failure.input("a weight that is no number", at: place, got: "\(part.weight)")
            }
            for change in part.changes {
                if case .rows(let change) = change {
                    try tokens.add(change, of: part)
                    continue
                }
                guard case .lowRank(let change) = change else {
                    throw Failure.input(
                        "only LoRA layers and tokens become one without a base", at: place,
                        expected: "a file of LoRA and tokens alone",
                        got: part.file.kinds.joined(separator: ", "),
                        advice: "merge it into a base, or use the files side by side")
                }
                let path = change.module.path
                if found[path] == nil { order.append(path) }
                found[path, default: []].append((change, part))
            }
        }
        self.tokens = tokens
        modules = try order.map { try Self.stacked($0, found[$0] ?? []) }
        let bases = Set(parts.compactMap { $0.file.weights.metadata["base_model"] }).subtracting(["unknown"])
        guard bases.count <= 1 else {
            throw Failure.input(
                "the adapters are for different bases", at: parts.last.map { .init($0.file.path) },
                expected: "adapters of one base", got: bases.sorted().joined(separator: " and "))
        }
        let digests = Set(parts.map { $0.file.weights.metadata["base_sha256"] ?? "" }).subtracting([""])
        if digests.count > 1 { notes.append("the adapters were trained on different weights of one size") }
    }

    /// The rank of each module.
    public var ranks: [Int] { modules.map(\.rank) }

    private static func stacked(
        _ path: String, _ found: [(change: LowRankChange, part: Merge.Part)]
    ) throws -> Module {
        var (ups, downs): ([Tensor], [Tensor]) = ([], [])
        for (change, part) in found {
            let place = Failure.Place(part.file.path)
            let up = try change.up.to(dtype: .float32) * (change.scale * part.weight)
            let down = try change.down.to(dtype: .float32)
            guard try up.isAllFinite(), try down.isAllFinite() else {
                throw Failure.input("the LoRA of `\(path)` holds numbers that are not finite", at: place)
            }
            if let first = ups.first, let other = downs.first,
                first.size(0) != up.size(0) || other.size(1) != down.size(1)
            {
                throw Failure.input(
                    "the adapters do not fit each other: `\(path)`", at: place,
                    expected: "[\(first.size(0)), \(other.size(1))]", got: "[\(up.size(0)), \(down.size(1))]")
            }
            ups.append(up)
            downs.append(down)
        }
        return Module(
            path: path, up: try .concatenated(ups, dimension: 1), down: try .concatenated(downs, dimension: 0))
    }

    /// Writes the LoRA in the native format.
    public func write(to path: String) throws {
        let texts = parts.map(\.file.weights.metadata)
        /// What all files that say it say alike.
        func common(_ name: String, but none: String) -> String? {
            let said = Set(texts.compactMap { $0[name] }).subtracting([none])
            return said.count == 1 ? said.first : nil
        }
        var contents = AdapterContents(
            base: BaseModel(
                name: common("base_model", but: "unknown") ?? "unknown",
                sha256: common("base_sha256", but: "") ?? ""),
            steps: parts.map(\.file.trainedSteps).max() ?? 0)
        if !modules.isEmpty { contents.add(kind: LowRankModule.kind) }
        // Scales are in the factors: alpha is the rank, of each module its own.
        let rank = ranks.max() ?? 1
        var own = JSON.Object()
        for module in modules where module.rank != rank { own[module.path] = .integer(module.rank) }
        for name in modules.isEmpty ? [] : ["rank", "alpha"] {
            contents.describe(name, .integer(rank))
            if own.count > 0 { contents.describe("\(name)_pattern", .object(own)) }
        }
        for name in ["module_filters", "text_module_filters"] {
            var filters: [JSON] = []
            for part in parts {
                for filter in try part.file.described(name).arrayValue ?? [] where !filters.contains(filter) {
                    filters.append(filter)
                }
            }
            if !filters.isEmpty { contents.describe(name, .array(filters)) }
        }
        contents.describe("made_by", "merge")
        let licences = Set(texts.compactMap { $0["base_licence"] }).sorted()
        if !licences.isEmpty { contents.describe("base_licence", .string(licences.joined(separator: "; "))) }
        for module in modules {
            contents.tensors.append((LowRankModule.downKey(module.path), module.down))
            contents.tensors.append((LowRankModule.upKey(module.path), module.up))
        }
        try tokens.write(to: &contents)
        try contents.write(to: path)
    }
}
