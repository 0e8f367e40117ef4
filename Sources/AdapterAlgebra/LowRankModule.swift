import JSON
import LinearAlgebra
import Torch

/// What became of one module: two factors, and how much of the matrix they keep.
public struct LowRankModule {
    /// The module in Stage C or the text encoder, as adapters name it.
    public let path: String
    /// [out, r], float32.
    let up: Matrix
    /// [r, in], float32.
    let down: Matrix
    /// The sum of the squared singular values that are kept.
    public let kept: Double
    /// The sum of the squares of the whole matrix.
    public let total: Double

    /// The best factors of a rank, or of less where the matrix has less.
    init(path: String, _ values: SingularValues, total: Double, rank: Int) {
        let best = values.truncated(to: rank)
        (up, down) = best.factors
        self.path = path
        kept = min(best.energy, total)
        self.total = total
    }

    /// The kind of adapter that the factors are.
    static let kind = "lora"
    /// The keys of a module's matrices in a native file of that kind.
    static func downKey(_ path: String) -> String { "\(path).lora_down.weight" }
    static func upKey(_ path: String) -> String { "\(path).lora_up.weight" }

    /// Of the factors.
    public var rank: Int { down.rows }
    /// The share of the matrix's squared norm that is kept, 0...1.
    public var energy: Double { total > 0 ? kept / total : 1 }
}

extension [LowRankModule] {
    /// The share of all matrices' squared norms that is kept, 0...1.
    public var energy: Double {
        let total = reduce(0) { $0 + $1.total }
        return total > 0 ? reduce(0) { $0 + $1.kept } / total : 1
    }

    /// The largest rank.
    var rank: Int { map(\.rank).max() ?? 0 }

    /// The factors as a native file holds them: a smaller rank is filled up with zeros to the one rank of the file,
    /// which is alpha too, so that the product counts once.
    func tensors() throws -> [(name: String, tensor: Tensor)] {
        let rank = rank
        return try flatMap { module in
            let down = try module.down.tensor().padded([0, 0, 0, rank - module.rank])  // [rank, in]
            let up = try module.up.tensor().padded([0, rank - module.rank])  // [out, rank]
            return [(LowRankModule.downKey(module.path), down), (LowRankModule.upKey(module.path), up)]
        }
    }

    /// Energy by module.
    var energies: JSON {
        var object = JSON.Object()
        for module in self { object[module.path] = .number((module.energy * 1e6).rounded() / 1e6) }
        return .object(object)
    }

    /// What was kept of each module, for programs.
    public var report: JSON {
        .array(
            map { module in
                [
                    "module": .string(module.path), "rank": .integer(module.rank),
                    "energy": .number(module.energy), "norm": .number(module.total.squareRoot()),
                ]
            })
    }
}
