import AdapterKit
import Failures
import Foundation
import Layers
import Optimization
import Settings
import TestSupport
import Torch
import Weights

/// What every kind of adapter keeps, checked on a tiny base: run each of ``Check`` in a test of its own.
///
///     @Test(arguments: AdapterContract.Check.allCases)
///     func keepsTheContract(check: AdapterContract.Check) throws {
///         try AdapterContract(MyMethod.kind, configuration: "{adapter_method: mine, module_filters: [.attn]}")(check)
///     }
public struct AdapterContract: Sendable {
    /// One thing that is kept.
    public enum Check: String, CaseIterable, Sendable {
        /// A new adapter computes what the base does.
        case startsAsTheBase
        /// Detached, it leaves the model as it was.
        case detaches
        /// Fused, it computes what it did attached.
        case fuses
        /// At strength 0 it changes nothing, attached or fused.
        case hasStrength
        /// A merge makes of the base's weights what fusing does.
        case merges
        /// A file carries it elsewhere, to be used, trained on and written again.
        case isCarriedByAFile
        /// A file is its parameters and little more.
        case hasSmallFiles
        /// What a file is said to train is what it trains.
        case tellsItsParts
        /// Training it leaves the base alone, and reaches all of its parameters.
        case trains
        /// A seed makes the same adapter.
        case repeatsBySeed
        /// A file of another model is refused.
        case refusesAnotherModel
    }

    private let kind: any AdapterKind
    private let configuration: String

    /// - Parameter configuration: keys that ask for the kind, a YAML mapping. The base has two levels of width 16, six
    ///   residual blocks with attention in each, and a text encoder of one layer.
    public init(_ kind: any AdapterKind, configuration: String) {
        self.kind = kind
        self.configuration = configuration
    }

    /// - Throws: what is not kept.
    public func callAsFunction(_ check: Check) throws {
        switch check {
        case .startsAsTheBase: try startsAsTheBase()
        case .detaches: try detaches()
        case .fuses: try fuses()
        case .hasStrength: try hasStrength()
        case .merges: try merges()
        case .isCarriedByAFile: try isCarriedByAFile()
        case .hasSmallFiles: try hasSmallFiles()
        case .tellsItsParts: try tellsItsParts()
        case .trains: try trains()
        case .repeatsBySeed: try repeatsBySeed()
        case .refusesAnotherModel: try refusesAnotherModel()
        }
    }

    /// A new adapter as the configuration asks for it.
    public func make(for world: AdaptedWorld, seed: UInt64 = 4) throws -> any Adapter {
        var fields = try Setting.parse(configuration, file: "adapter.yaml").fields()
        let plan = try PlugIns(filters: [], adapters: [kind]).plans(&fields).first
        try fields.finish()
        return try unwrapped(plan, "the configuration asks for the kind").make(world.model, Generator(seed: seed))
    }

    /// The adapter of a native file.
    public func read(_ path: String, for world: AdaptedWorld) throws -> any Adapter {
        try unwrapped(kind.read(AdapterFile(path), for: world.model.networks), "the file holds the kind")
    }

    private func requireEqual(_ ours: Tensor, _ theirs: [Float], _ what: String) throws {
        try require(try ours.values(as: Float.self) == theirs, what)
    }

    // MARK: Using it

    private func startsAsTheBase() throws {
        let world = try AdaptedWorld()
        let before = try world.answer().values(as: Float.self)
        let adapter = try make(for: world)
        try require(!adapter.parameters.isEmpty, "it has parameters")
        for (name, tensor) in adapter.parameters {
            try require(tensor.dtype == .float32 && tensor.requiresGrad, "`\(name)` is trainable, float32")
        }
        try adapter.attach()
        try requireEqual(world.answer(), before, "a new adapter computes what the base does")
    }

    private func detaches() throws {
        let world = try AdaptedWorld()
        let before = try world.answer().values(as: Float.self)
        let adapter = try make(for: world)
        try stir(adapter)
        try requireEqual(world.answer(), before, "before it is attached it changes nothing")
        try adapter.attach()
        try require(try world.answer().values(as: Float.self) != before, "attached it changes the answer")
        adapter.detach()
        try requireEqual(world.answer(), before, "detached it leaves the model as it was")
    }

    private func fuses() throws {
        let world = try AdaptedWorld()
        let base = try world.answer()
        let adapter = try make(for: world)
        try stir(adapter)
        try adapter.attach()
        let attached = try world.answer()
        adapter.detach()
        try adapter.fuse()
        let change = try relativeError(attached, base)
        try require(change > 0.01, "attached it changes the answer by more than a hundredth, got \(change)")
        let error = try relativeError(world.answer(), attached)
        try require(error < 1e-4 * min(1, change), "fused it computes what it did attached, off by \(error)")
    }

    private func hasStrength() throws {
        let world = try AdaptedWorld()
        let before = try world.answer()
        let adapter = try make(for: world)
        try stir(adapter)
        adapter.strength = 0
        try adapter.attach()
        try requireEqual(world.answer(), before.values(), "attached at strength 0 it changes nothing")
        adapter.detach()
        adapter.strength = 0.5
        try adapter.attach()
        let half = try world.answer()
        adapter.detach()
        try require(try relativeError(half, before) > 1e-3, "at half the strength it changes the answer")
        try adapter.fuse()
        try require(try relativeError(world.answer(), half) < 1e-4, "fused at half the strength as attached")
    }

    private func merges() throws {
        let (world, scratch) = (try AdaptedWorld(), try Scratch())
        let adapter = try make(for: world)
        try stir(adapter)
        try write(adapter, world.model, to: scratch["adapter"])
        let changes = try unwrapped(kind.changes(in: AdapterFile(scratch["adapter"])), "the file changes weights")
        let weights = world.model.stageC.store.tensors + world.textStore.tensors
        let before = try Dictionary(weights.map { ($0.name, try $0.tensor.cloned()) }) { first, _ in first }
        try adapter.fuse()
        let after = Dictionary(weights.map { ($0.name, $0.tensor) }) { first, _ in first }
        for case .module(let change) in changes {
            let key = change.module.key
            let (old, new) = try (unwrapped(before[key], "the base has `\(key)`"), unwrapped(after[key], key))
            let rows = change.module.rows
            let matrix = try old.reshaped([old.size(0), -1]).sliced(0, rows)
            let expected = try new.reshaped([new.size(0), -1]).sliced(0, rows)
            // In two pieces, as a merge goes through a large weight.
            let middle = rows.count / 2
            let pieces = try [0..<middle, middle..<rows.count].map { piece in
                try change(matrix.sliced(0, piece), rows: piece, strength: 1)
            }
            let error = try relativeError(.concatenated(pieces, dimension: 0), expected)
            try require(error < 1e-5, "a merge changes `\(key)` as fusing does, off by \(error)")
        }
    }

    // MARK: Its files

    private func isCarriedByAFile() throws {
        let (world, elsewhere) = (try AdaptedWorld(), try AdaptedWorld())
        let scratch = try Scratch()
        let adapter = try make(for: world)
        try stir(adapter)
        try adapter.attach()
        let contents = try write(adapter, world.model, to: scratch["one"])
        try require(contents.kinds == [kind.name], "the file names its kind, got \(contents.kinds)")
        try require(
            try AdapterFile(scratch["one"]).trainedSteps == 12, "the file says for how many updates it was trained")

        let read = try read(scratch["one"], for: elsewhere)
        try require(read.parameters.map(\.name) == adapter.parameters.map(\.name), "parameters keep their names")
        try read.attach()
        try requireEqual(elsewhere.answer(), world.answer().values(), "read elsewhere it answers alike")
        try require(read.parameters.allSatisfy { $0.tensor.requiresGrad }, "what was read may be trained on")
        try write(read, elsewhere.model, to: scratch["two"])
        let again = try SafetensorsFile(scratch["two"])
        for (name, tensor) in contents.tensors {
            try requireEqual(again.required(name), tensor.detached().values(), "written again `\(name)` is the same")
        }
    }

    private func hasSmallFiles() throws {
        let world = try AdaptedWorld()
        let scratch = try Scratch()
        let contents = try write(make(for: world), world.model, to: scratch["adapter"])
        let size = try Data(contentsOf: URL(fileURLWithPath: scratch["adapter"])).count
        let numbers = contents.tensors.reduce(0) { $0 + $1.tensor.byteCount }
        try require(size >= numbers, "the file holds all numbers")
        try require(size <= numbers + 65536 + 128 * contents.tensors.count, "the file holds little more, \(size) bytes")
        for (name, _) in contents.tensors {
            try require(world.model.stageC.store[name] == nil, "nothing of the base is inside, got `\(name)`")
        }
    }

    private func tellsItsParts() throws {
        let world = try AdaptedWorld()
        let scratch = try Scratch()
        let adapter = try make(for: world)
        try write(adapter, world.model, to: scratch["adapter"])
        let parts = try kind.parts(of: AdapterFile(scratch["adapter"]))
        try require(parts.shapes == adapter.parameters.map { $0.tensor.shape }, "shapes are told, got \(parts.shapes)")
        try require(parts.kind == kind.name, "the kind is told, got \(parts.kind)")
    }

    private func refusesAnotherModel() throws {
        let world = try AdaptedWorld()
        let scratch = try Scratch()
        let adapter = try make(for: world)
        var contents = AdapterContents(base: world.model.base, steps: 1)
        try adapter.write(to: &contents)
        contents.tensors = try contents.tensors.map { ($0.name, try .zeros($0.tensor.shape.map { $0 + 1 })) }
        try contents.write(to: scratch["other"])
        do {
            _ = try read(scratch["other"], for: world)
        } catch let failure as Failure {
            try require(
                failure.blame == .input && failure.place?.file == scratch["other"], "the file is named: \(failure)")
            try require(failure.expected?.contains("shape") == true, "the shapes are told: \(failure)")
            return
        }
        throw ContractViolation(description: "a file of another model is refused")
    }

    // MARK: Training it

    private func trains() throws {
        let world = try AdaptedWorld()
        let before = try world.numbers()
        let adapter = try make(for: world)
        try adapter.attach()
        let optimizer = try AdamW([.init(adapter.parameters, weightDecay: 0.01)])
        for _ in 0..<2 {
            try world.answer().squared().mean().backward()
            for entry in world.model.stageC.store.entries + world.textStore.entries {
                try require(try entry.tensor.gradient() == nil, "the base gets no gradient: `\(entry.key)`")
            }
            for (name, tensor) in adapter.parameters {
                try require(try tensor.gradient()?.isAllFinite() == true, "`\(name)` gets a finite gradient")
            }
            try require(try optimizer.groups.gradientNorm() > 0, "the gradient is not zero")
            try optimizer.step(learningRate: 0.1)
            try optimizer.clearGradients()
        }
        try require(try world.numbers() == before, "the base stays as it was")
    }

    private func repeatsBySeed() throws {
        func numbers(_ seed: UInt64) throws -> [[Float]] {
            try make(for: AdaptedWorld(), seed: seed).parameters.map { try $0.tensor.detached().values() }
        }
        let first = try numbers(4)
        try require(try numbers(4) == first, "a seed makes the same adapter")
        if first.contains(where: { $0.contains { $0 != 0 } }) {
            try require(try numbers(5) != first, "another seed makes another one")
        }
    }
}
