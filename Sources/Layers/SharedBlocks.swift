import Torch

/// The frozen tensors of a network, shared out among processes: each keeps its part of every block's bytes, and has the
/// whole of a block while a pass is there, and of the next one, which is gathered meanwhile.
///
/// A network's tensors are views of two rows, through which its blocks take turns. So they mean something only after
/// ``require(_:)``, and all processes have to ask for the same blocks in the same order.
public final class SharedBlocks {
    private let layout: BlockLayout
    private let group: ProcessGroup
    /// This process's part of each row, uint8.
    private let shares: [Tensor]
    /// Blocks at even and at odd places of the order lie in one row each, uint8.
    private let rows: [Tensor]
    /// Which block each row holds.
    private var held: [Int?] = [nil, nil]
    private var coming: (block: Int, gathering: ProcessGroup.Gathering)?
    private var last = -1
    /// What is trained of it; nil of a frozen network.
    let training: SharedGradients?

    /// - Parameter dtype: in which the network is trained; nil where it is frozen.
    public init(_ layout: BlockLayout, among group: ProcessGroup, training dtype: DType? = nil) throws {
        (self.layout, self.group) = (layout, group)
        let part = layout.alignment
        let sizes = layout.sizes.map { ($0 + part * group.size - 1) / (part * group.size) * part }
        shares = try sizes.map { try .zeros([$0], dtype: .uint8) }
        rows = try (0..<2).map { parity in
            let largest = sizes.enumerated().filter { $0.offset % 2 == parity }.map(\.element).max() ?? 0
            return try .zeros([largest * group.size], dtype: .uint8)
        }
        training = try dtype.map { try SharedGradients(sizes, $0, group) }
    }

    /// Takes a tensor of the network in: this process's part of it is kept.
    /// - Returns: what stands for it, of its shape and type.
    func place(_ name: String, _ value: Tensor) throws -> Tensor {
        guard let place = layout.places[name], place.range.count == value.byteCount else {
            preconditionFailure("`\(name)` is another tensor than in the layout")
        }
        try keep(value, place)
        let leaf = try rows[place.block % 2].sliced(0, place.range).viewed(as: value.dtype).reshaped(value.shape)
            .detached()
        try training?.add(leaf, name, place, wasZero: value.detached().norm().item() == 0)
        return leaf
    }

    /// Keeps this process's part of a tensor's bytes.
    func keep(_ value: Tensor, _ place: BlockLayout.Place) throws {
        guard let range = ownRange(place) else { return }
        let first = own(place).lowerBound - place.range.lowerBound
        try value.detached().contiguous().withBytes { from in
            shares[place.block].withMutableBytes { to in
                UnsafeMutableRawBufferPointer(rebasing: to[range])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: from[first..<first + range.count]))
            }
        }
    }

    func share(_ block: Int) -> Tensor { shares[block] }

    /// Adds up tensors over all processes, in their place.
    public func sum(_ tensors: [Tensor]) throws { try group.sum(tensors) }

    /// Adds up the gradients of a block.
    func collect(_ name: String) throws {
        guard let block = layout.order[name] else { preconditionFailure("there is no block `\(name)`") }
        try training?.collect(block)
    }

    /// Where this process's part of a tensor lies in its part of the block, in bytes; nil where it has none.
    func ownRange(_ place: BlockLayout.Place) -> Range<Int>? {
        let (own, count) = (own(place), shares[place.block].count)
        return own.isEmpty ? nil : own.lowerBound - group.rank * count..<own.upperBound - group.rank * count
    }

    /// This process's part of a tensor's bytes, as a place in the row of its block; empty where it has none.
    func own(_ place: BlockLayout.Place) -> Range<Int> {
        let count = shares[place.block].count
        return place.range.clamped(to: group.rank * count..<(group.rank + 1) * count)
    }

    /// Which block each row holds is as good as unknown: what is trained has changed since.
    public func beginPass() throws {
        guard training != nil else { return }
        try finish()
        (held, last) = ([nil, nil], -1)
    }

    /// Has the numbers of a block there, until a block two further on is asked for.
    public func require(_ name: String) throws {
        guard let block = layout.order[name] else { preconditionFailure("there is no block `\(name)`") }
        try require(block)
    }

    func require(_ block: Int) throws {
        // What is on its way into the row has to be there before anything else is.
        if let coming, coming.block % 2 == block % 2 { try finish() }
        if held[block % 2] != block {
            if coming != nil { try finish() }
            try begin(block)
            try finish()
        }
        guard block != last else { return }
        let next = block > last ? block + 1 : block - 1
        last = block
        if layout.sizes.indices.contains(next), coming == nil, held[next % 2] != next { try begin(next) }
    }

    private func begin(_ block: Int) throws {
        let (share, row) = (shares[block], rows[block % 2])
        held[block % 2] = nil
        try row.sliced(0, group.rank * share.count..<(group.rank + 1) * share.count).assign(share)
        coming = (block, try group.gather(row.sliced(0, 0..<group.size * share.count)))
    }

    private func finish() throws {
        guard let (block, gathering) = coming else { return }
        coming = nil
        try gathering.finish()
        held[block % 2] = block
    }
}

extension SharedBlocks? {
    /// Runs a block of a network with its numbers there. A block that is shared out is always computed again for its
    /// gradients, for its numbers are gone by then.
    /// - Parameters:
    ///   - isCheckpointing: whether the block is computed again where it is not shared out.
    ///   - body: from the inputs to what comes of them, the same each time.
    public func run(
        _ name: String, _ inputs: [Tensor], isCheckpointing: Bool = false, _ body: @escaping ([Tensor]) throws -> Tensor
    ) throws -> Tensor {
        guard let shared = self else { return try isCheckpointing ? checkpointed(inputs, body) : body(inputs) }
        let after = shared.training == nil ? nil : { try shared.collect(name) }
        return try checkpointed(inputs, after: after) { inputs in
            try shared.require(name)
            return try body(inputs)
        }
    }
}
