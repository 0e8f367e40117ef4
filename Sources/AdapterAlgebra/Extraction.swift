import AdapterKit
import Cascade
import Failures
import JSON
import LinearAlgebra
import Torch
import Weights

/// A LoRA made of the difference of two checkpoints of Stage C: for each module the best matrix of a rank.
public struct Extraction {
    /// Which modules are looked at, and how exactly.
    public struct Configuration: Sendable {
        /// Of each module's factors; a module with fewer rows or columns gets less.
        public var rank: Int
        /// Parts of the paths of the modules that are looked at.
        public var moduleFilters: [String] = Self.usual
        /// The Stage C that the two are, where that was said.
        public var architecture: StageCConfiguration?
        /// Of the random numbers that the range finder begins with.
        public var seed: UInt64 = 0
        /// Random directions beyond the rank.
        public var oversampling = 16
        /// Products with a matrix and its transpose before its range is taken.
        public var powerIterations = 3

        /// Attention, the residual blocks' products and the mappers of conditions and times: where nearly all of
        /// Stage C's weights are.
        public static let usual = [".attn.", "channelwise", "mapper"]

        /// Of the usual modules, with 16 further directions and three power iterations.
        public init(rank: Int) { self.rank = rank }
    }

    /// Those in which the two differ, in the order of the base.
    public let modules: [LowRankModule]
    /// Modules in which the two do not differ.
    public let identical: [String]
    /// What differs and is in none of the modules.
    public let rest: ExtractionRest
    private let configuration: Configuration

    /// - Parameter progress: told how many modules are done, of how many.
    /// - Throws: a failure of the input where the two are no pair, or do not differ.
    public init(
        from base: Checkpoint, to tuned: Checkpoint, _ configuration: Configuration,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        self.configuration = configuration
        let before = try base.tensors(of: .stageC)
        let after = try tuned.tensors(of: .stageC)
        if let architecture = configuration.architecture {
            let expected = [architecture.conditionWidth, architecture.clipTextWidth]
            let found = before["clip_txt_mapper.weight"]?.shape
            guard found == expected else {
                throw Failure.input(
                    "the base is another Stage C than --arch says", at: .init(before.path),
                    expected: "`clip_txt_mapper.weight` of shape \(expected)", got: found.map { "\($0)" } ?? "none")
            }
        }
        let selected = try Self.select(configuration.moduleFilters, before, after)
        let generator = try Generator(seed: configuration.seed)
        var modules: [LowRankModule] = []
        var identical: [String] = []
        for (number, module) in selected.enumerated() {
            if let found = try Self.factors(of: module, before, after, configuration, generator) {
                modules.append(found)
            } else {
                identical.append(module.path)
            }
            progress(number + 1, selected.count)
        }
        guard !modules.isEmpty else {
            throw Failure.input(
                "the two checkpoints do not differ in any of \(selected.count) modules", at: .init(tuned.file.path),
                expected: "weights that were trained on from \(base.file.path)")
        }
        self.modules = modules
        self.identical = identical
        rest = try ExtractionRest(before, after, besides: selected)
    }

    /// The share of the whole difference's squared norm that the LoRA keeps, 0...1: that of tensors which were not
    /// looked at counts too.
    public var energyOfAll: Double {
        let total = modules.reduce(rest.energy) { $0 + $1.total }
        return total > 0 ? modules.reduce(0) { $0 + $1.kept } / total : 1
    }

    /// Writes the LoRA in the native format.
    public func write(to path: String, base: BaseModel) throws {
        var contents = AdapterContents(base: base, steps: 0)
        contents.add(kind: LowRankModule.kind)
        contents.describe("rank", .integer(modules.rank))
        contents.describe("alpha", .integer(modules.rank))
        contents.describe("module_filters", .array(configuration.moduleFilters.map(JSON.string)))
        contents.describe("made_by", "extract")
        contents.describe("energy", modules.energies)
        contents.describe("energy_of_all", .number((energyOfAll * 1e6).rounded() / 1e6))
        contents.tensors = try modules.tensors()
        try contents.write(to: path)
    }

    /// The modules that the filters find, in the order of the base.
    private static func select(
        _ filters: [String], _ before: any NamedTensors, _ after: any NamedTensors
    ) throws -> [ModuleWeight] {
        let all = before.entries.flatMap(ModuleWeight.behind)
        for filter in filters where !all.contains(where: { $0.path.contains(filter) }) {
            let examples = all.map(\.path).filter { $0.hasPrefix("down_blocks.0.") }.prefix(8)
            throw Failure.input(
                "--modules has an entry that matches no module", at: .init(before.path),
                expected: "part of a path such as \(examples.joined(separator: ", "))", got: "`\(filter)`")
        }
        let selected = all.filter { module in filters.contains { module.path.contains($0) } }
        let misfits = selected.filter { before[$0.key]?.shape != after[$0.key]?.shape }
        if let first = misfits.first {
            throw Failure.input(
                "the two checkpoints are no pair: \(misfits.count) modules differ in shape, such as `\(first.path)`",
                at: .init(after.path), expected: before[first.key].map { "\($0.shape)" },
                got: after[first.key].map { "\($0.shape)" } ?? "none of that name")
        }
        return selected
    }

    /// The factors of one module's difference; nil where there is none.
    private static func factors(
        of module: ModuleWeight, _ before: any NamedTensors, _ after: any NamedTensors,
        _ configuration: Configuration, _ generator: Generator
    ) throws -> LowRankModule? {
        func weight(_ tensors: any NamedTensors) throws -> Tensor {
            let whole = try tensors.required(module.key)
            return try whole.reshaped([whole.size(0), whole.count / whole.size(0)])
                .sliced(0, module.rows).to(dtype: .float32)
        }
        let difference = try Matrix(weight(after) - weight(before))  // [out, in]
        let total = difference.squaredNorm
        guard total.isFinite else {
            throw Failure.input(
                "the difference of `\(module.path)` holds numbers that are not finite", at: .init(after.path))
        }
        guard total > 0 else { return nil }
        let shorter = min(difference.rows, difference.columns)
        let rank = min(configuration.rank, shorter)
        let sketch = try Matrix(
            generator.normal([difference.columns, min(rank + configuration.oversampling, shorter)]))
        let values = try difference.svd(sketch: sketch, powerIterations: configuration.powerIterations)
        return LowRankModule(path: module.path, values, total: total, rank: rank)
    }
}
