import Torch

/// The gradients of a network that processes share and train: of each block a process has the sum of its own part, and of one
/// block at a time all of its own samples' gradients.
final class SharedGradients {
    struct Leaf {
        /// What stands for the tensor in a pass.
        let tensor: Tensor
        let place: BlockLayout.Place
        /// Whether all of it was zero when the network was made.
        let wasZero: Bool
    }

    private(set) var leaves: [String: Leaf] = [:]
    private var names: [[String]]
    private let group: ProcessGroup
    /// Of this process's part of each block, float32.
    private let sums: [Tensor]
    /// Of the weights.
    let dtype: DType
    /// Of the block that is under way, float32.
    private let row: Tensor
    /// Whether passes are made for other processes' sake, and leave no gradients of this one's samples.
    var isIdle = false

    /// - Parameters:
    ///   - sizes: bytes of this process's part of each block.
    ///   - dtype: of the weights.
    init(_ sizes: [Int], _ dtype: DType, _ group: ProcessGroup) throws {
        (self.group, self.dtype) = (group, dtype)
        let counts = sizes.map { $0 / dtype.size }
        names = counts.map { _ in [] }
        sums = try counts.map { try .zeros([$0]) }
        row = try .zeros([(counts.max() ?? 0) * group.size])
    }

    func add(_ leaf: Tensor, _ name: String, _ place: BlockLayout.Place, wasZero: Bool) {
        leaves[name] = Leaf(tensor: leaf, place: place, wasZero: wasZero)
        names[place.block].append(name)
    }

    func clear() throws { for sum in sums { try sum.assignZero() } }

    /// Adds up what a pass has left on the leaves of a block, over all processes, and removes it.
    func collect(_ block: Int) throws {
        let own = sums[block].count
        let row = try row.sliced(0, 0..<own * group.size)
        try row.assignZero()
        for name in names[block] {
            guard let leaf = leaves[name], let gradient = try leaf.tensor.gradient() else { continue }
            if !isIdle { try row.sliced(0, leaf.place.range.numbers(of: dtype)).assign(gradient.reshaped([-1])) }
            try leaf.tensor.setGradient(nil)
        }
        try group.sumParts(row)
        try sums[block].accumulate(row.sliced(0, group.rank * own..<(group.rank + 1) * own))
    }

    /// The sum of some of this process's part of a block, as a view.
    /// - Parameter bytes: where its weights lie in the part.
    func sum(_ block: Int, _ bytes: Range<Int>) throws -> Tensor { try sums[block].sliced(0, bytes.numbers(of: dtype)) }
}

extension Range<Int> {
    /// Of bytes, those of a dtype.
    func numbers(of dtype: DType) -> Range<Int> { lowerBound / dtype.size..<upperBound / dtype.size }
}
