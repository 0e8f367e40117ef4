import Torch

/// Tensors that several processes step together, each its own part of every one: some of the numbers, one after the other.
///
/// Of a tensor whose moments are in eight bits a part is whole blocks of ``DynamicCode``, so that each has the scale that it
/// would have in one process.
public struct SharedTensors {
    /// One of them.
    public struct Whole {
        /// As in the groups of parameters.
        public let name: String
        /// Of all of it.
        public let shape: [Int]
        /// The numbers that this process has, empty where it has none.
        public let part: Range<Int>
        /// Whether all of it is zero before the first update.
        public let startsAtZero: Bool

        /// - Parameters:
        ///   - name: as in the groups of parameters.
        ///   - shape: of all of it.
        ///   - part: the numbers that this process has, empty where it has none.
        ///   - startsAtZero: whether all of it is zero before the first update.
        public init(name: String, shape: [Int], part: Range<Int>, startsAtZero: Bool = false) {
            (self.name, self.shape, self.part, self.startsAtZero) = (name, shape, part, startsAtZero)
        }

        var count: Int { shape.reduce(1, *) }

        /// What an optimizer remembers of each number.
        func state(_ kind: String, _ dtype: DType = .float32) -> SharedState {
            SharedState(name: "\(kind).\(name)", shape: shape, dtype: dtype, part: part)
        }

        /// What it remembers of each block of eight-bit moments.
        func scales(_ kind: String) -> SharedState {
            let block = DynamicCode.block
            return SharedState(
                name: "\(kind).\(name)", shape: [DynamicCode.blocks(count)], dtype: .float32,
                part: part.isEmpty ? 0..<0 : part.lowerBound / block..<DynamicCode.blocks(part.upperBound))
        }

        /// What each process remembers all of.
        func common(_ kind: String, _ shape: [Int]) -> SharedState {
            SharedState(name: "\(kind).\(name)", shape: shape, dtype: .float32, part: nil)
        }
    }

    /// All of them, in the order of the groups, the same in every process.
    public let wholes: [Whole]
    /// Adds up numbers over all processes, in their place. All ask for the same sums in the same order.
    let sum: ([Tensor]) throws -> Void

    /// - Parameters:
    ///   - wholes: all of them, in the order of the groups, the same in every process.
    ///   - sum: adds up numbers over all processes, in their place.
    public init(_ wholes: [Whole], sum: @escaping ([Tensor]) throws -> Void) {
        (self.wholes, self.sum) = (wholes, sum)
    }

    /// By their names.
    var named: [String: Whole] { Dictionary(wholes.map { ($0.name, $0) }) { first, _ in first } }
}

/// A tensor of an optimizer's state as one process would have it.
public struct SharedState {
    /// As in ``Optimizer/state``.
    public let name: String
    /// Of all of it.
    public let shape: [Int]
    /// What it is kept in.
    public let dtype: DType
    /// The numbers that this process has; nil where each has all of them.
    public let part: Range<Int>?
}
