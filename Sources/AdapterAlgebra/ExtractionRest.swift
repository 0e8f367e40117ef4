import AdapterKit
import Failures
import JSON
import Torch
import Weights

/// How two checkpoints differ in what an extraction does not look at: norms, biases, embeddings, modules that were not
/// asked for.
public struct ExtractionRest {
    /// The sum of the squares of what differs.
    public let energy: Double
    /// The tensors, those that differ most first, with the sum of their squares.
    public let tensors: [(name: String, energy: Double)]
    /// Tensors of one checkpoint that the other lacks, or has in another shape.
    public let unpaired: [String]

    /// - Parameter modules: what is looked at.
    init(_ before: any NamedTensors, _ after: any NamedTensors, besides modules: [ModuleWeight]) throws {
        let lookedAt = Dictionary(grouping: modules, by: \.key).mapValues { $0.map(\.rows) }
        var tensors: [(name: String, energy: Double)] = []
        var unpaired = after.entries.map(\.name).filter { before[$0] == nil }
        for entry in before.entries {
            guard let other = after[entry.name], other.shape == entry.shape else {
                unpaired.append(entry.name)
                continue
            }
            guard entry.dtype.isFloatingPoint, other.dtype.isFloatingPoint, entry.count > 0 else { continue }
            let rows = Self.rows(of: entry, without: lookedAt[entry.name] ?? [])
            guard !rows.isEmpty else { continue }
            let (from, to) = try (before.required(entry.name), after.required(entry.name))
            var energy = 0.0
            for range in rows {
                func part(_ tensor: Tensor) throws -> Tensor {
                    try (tensor.rank == 0 ? tensor.reshaped([1]) : tensor.sliced(0, range)).to(dtype: .float32)
                }
                let difference = try part(to) - part(from)
                energy += try (difference * difference).sum().item()
            }
            guard energy.isFinite else {
                throw Failure.input(
                    "the difference of `\(entry.name)` holds numbers that are not finite", at: .init(after.path))
            }
            if energy > 0 { tensors.append((entry.name, energy)) }
        }
        self.tensors = tensors.sorted { $0.energy > $1.energy }
        self.unpaired = unpaired
        energy = tensors.reduce(0) { $0 + $1.energy }
    }

    /// The rows of a tensor that are in no module, some at a time so that no large one is in memory as a whole.
    private static func rows(of entry: TensorEntry, without taken: [Range<Int>]) -> [Range<Int>] {
        let height = entry.shape.first ?? 1
        let step = max(1, (1 << 22) / max(1, entry.count / max(1, height)))
        let ends =
            [0] + taken.sorted { $0.lowerBound < $1.lowerBound }.flatMap { [$0.lowerBound, $0.upperBound] } + [height]
        return stride(from: 0, to: ends.count, by: 2).flatMap { index in
            stride(from: ends[index], to: ends[index + 1], by: step).map { $0..<min($0 + step, ends[index + 1]) }
        }
    }

    /// For programs.
    public var report: JSON {
        [
            "energy": .number(energy), "norm": .number(energy.squareRoot()),
            "tensors": .array(tensors.map { ["name": .string($0.name), "norm": .number($0.energy.squareRoot())] }),
            "unpaired": .array(unpaired.map(JSON.string)),
        ]
    }
}
