import Cascade
import Torch

/// What an adapter changes in one tensor of the official checkpoint.
public enum WeightChange {
    /// A product of two thin matrices, added to a module's weight.
    case lowRank(LowRankChange)
    /// Anything else that a method makes of a module's weight, row by row.
    case module(ModuleChange)
    /// Learned rows of an embedding table.
    case rows(RowChange)

    /// The network it belongs to.
    public var part: ModelPart {
        switch self {
        case .lowRank(let change): change.module.part
        case .module(let change): change.module.part
        case .rows(let change): change.part
        }
    }
}

/// `scale · up · down`, added to the weight of a module.
public struct LowRankChange {
    /// The weight that it changes.
    public let module: ModuleWeight
    /// [out, r], in any dtype.
    public let up: Tensor
    /// [r, in], in any dtype; of depthwise kernels `in` is the numbers of one kernel.
    public let down: Tensor
    /// What the product is multiplied by.
    public let scale: Double

    /// - Precondition: two matrices of one rank.
    public init(path: String, up: Tensor, down: Tensor, scale: Double) {
        precondition(up.rank == 2 && down.rank == 2 && up.size(1) == down.size(0))
        module = ModuleWeight(path: path, outputs: up.size(0))
        self.up = up
        self.down = down
        self.scale = scale
    }

    /// The rank of the product.
    public var rank: Int { down.size(0) }
    /// Columns of the weight.
    public var inputs: Int { down.size(1) }
}

/// What a method's matrices make of the weight of a module, each row by itself.
public struct ModuleChange {
    /// The weight that it changes.
    public let module: ModuleWeight
    /// Numbers in a row of the weight; nil where the matrices do not say.
    public let inputs: Int?
    private let matrices: ModuleMatrices
    private let change: (_ weight: Tensor, _ rows: Range<Int>, _ module: ModuleValues) throws -> Tensor

    init(
        _ matrices: ModuleMatrices,
        _ change: @escaping (_ weight: Tensor, _ rows: Range<Int>, _ module: ModuleValues) throws -> Tensor
    ) throws {
        self.matrices = matrices
        self.change = change
        module = ModuleWeight(path: matrices.path, outputs: matrices.shape.outputs)
        inputs = matrices.shape.inputs > 0 ? matrices.shape.inputs : nil
    }

    /// Whether all its matrices are finite.
    public func isAllFinite() throws -> Bool {
        try matrices.tensors.allSatisfy { try $0().to(dtype: .float32).isAllFinite() }
    }

    /// The changed rows, [k, in], float32.
    /// - Parameters:
    ///   - weight: as they were, [k, in], float32.
    ///   - rows: which of the module's rows they are.
    ///   - strength: multiplies what is added.
    public func callAsFunction(_ weight: Tensor, rows: Range<Int>, strength: Double) throws -> Tensor {
        try withoutGradients { try change(weight, rows, matrices.values(strength: strength)) }
    }
}

/// Rows of an embedding table that were learned: present ones moved by a delta, new ones behind the last.
public struct RowChange {
    /// One learned row.
    public struct Row: Sendable {
        /// In the table the adapter was trained with.
        public let id: Int
        /// What the row stands for, as it is written in a caption.
        public let text: String
        /// Whether the base's table lacks it.
        public let isNew: Bool

        /// - Parameters:
        ///   - id: in the table the adapter was trained with.
        ///   - text: as captions have it.
        ///   - isNew: whether the base's table lacks it.
        public init(id: Int, text: String, isNew: Bool) {
            self.id = id
            self.text = text
            self.isNew = isNew
        }
    }

    /// The network whose table it is.
    public let part: ModelPart
    /// Of the table, [n, c], in the official checkpoint.
    public let key: String
    /// The learned rows, in the order of ``delta``.
    public let rows: [Row]
    /// What the rows started from, [k, c]; nil where the file does not say. Only new rows need it.
    public let start: Tensor?
    /// What was learned, [k, c].
    public let delta: Tensor

    /// - Precondition: a delta for each row, and a start where there are any.
    public init(part: ModelPart, key: String, rows: [Row], start: Tensor?, delta: Tensor) {
        precondition(delta.rank == 2 && delta.size(0) == rows.count && start?.shape ?? delta.shape == delta.shape)
        self.part = part
        self.key = key
        self.rows = rows
        self.start = start
        self.delta = delta
    }
}
