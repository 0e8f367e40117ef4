import AdapterKit
import Failures
import LinearAlgebra
import Weights

/// A LoRA brought to another rank, module by module, without building the full matrices: the best approximation of
/// what it adds.
public struct Resizing {
    /// The low-rank modules at their new rank, in the order of the file.
    public let modules: [LowRankModule]
    private let file: AdapterFile

    /// - Parameters:
    ///   - changes: what the file holds; only its low-rank ones are resized, the rest is kept.
    ///   - rank: a module of less keeps its own.
    public init(of file: AdapterFile, _ changes: [WeightChange], to rank: Int) throws {
        self.file = file
        modules = try changes.compactMap { change -> LowRankModule? in
            guard case .lowRank(let change) = change else { return nil }
            let path = change.module.path
            let (up, down) = try (Matrix(change.up), Matrix(change.down))
            guard up.isFinite, down.isFinite else {
                throw Failure.input("the LoRA of `\(path)` holds numbers that are not finite", at: .init(file.path))
            }
            let scale = Float(change.scale)
            let scaled = up.scaled(columns: [Float](repeating: scale, count: up.columns))
            let values = try singularValues(up: scaled, down: down)
            return LowRankModule(path: path, values, total: values.energy, rank: rank)
        }
        guard !modules.isEmpty else {
            throw Failure.input(
                "the adapter holds no LoRA", at: .init(file.path), expected: "a LoRA",
                got: file.kinds.joined(separator: ", "))
        }
    }

    /// Writes the adapter in the native format with its descriptions and whatever else it holds.
    public func write(to path: String) throws {
        let factors = Set(modules.flatMap { [LowRankModule.downKey($0.path), LowRankModule.upKey($0.path)] })
        let others = file.weights.entries.map(\.name).filter { !factors.contains($0) }
        var metadata = file.weights.metadata
        for name in ["rank_pattern", "alpha_pattern"] { metadata[name] = nil }
        metadata["rank"] = String(modules.rank)
        metadata["alpha"] = String(modules.rank)
        metadata["made_by"] = "resize"
        metadata["energy"] = modules.energies.text()
        let kept = try others.map { ($0, try file.weights.required($0)) }
        try SafetensorsWriter.write(modules.tensors() + kept, metadata: metadata, to: path)
    }
}
