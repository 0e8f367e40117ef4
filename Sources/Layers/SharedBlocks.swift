import Torch

/// The tensors of a network whose blocks share two rows: a block is there while a pass is, and the next one comes meanwhile
/// from where all of them wait, in parts with several processes or in host memory.
///
/// The network's tensors are views of the rows, through which its blocks take turns. So they mean something only after
/// ``require(_:)``. Where processes share the network, all of them have to ask for the same blocks in the same order.
public final class SharedBlocks {
    private let layout: BlockLayout
    private let source: any BlockSource
    /// Blocks at even and at odd places of the order lie in one row each, uint8.
    private let rows: [Tensor]
    /// Which block each row holds.
    private var held: [Int?] = [nil, nil]
    private var coming: (block: Int, arrival: any BlockArrival)?
    private var last = -1
    /// What is trained of it; nil of a frozen network.
    let training: SharedGradients?
    /// Where processes share the network; nil where this one has all of it.
    let parts: ProcessParts?

    /// A network of which each process keeps its part of every block.
    /// - Parameter dtype: in which the network is trained; nil where it is frozen.
    public convenience init(_ layout: BlockLayout, among group: ProcessGroup, training dtype: DType? = nil) throws {
        let parts = try ProcessParts(layout, among: group)
        try self.init(layout, parts, parts, dtype.map { try SharedGradients(parts.sizes, $0, group) })
    }

    /// A frozen network whose first blocks wait in host memory, and the others on a device.
    /// - Parameter count: of the blocks that wait; all where there are no more.
    public convenience init(_ layout: BlockLayout, offloading count: Int, from device: Device) throws {
        try self.init(layout, HostBlocks(layout, count, device: device), nil, nil)
    }

    private init(
        _ layout: BlockLayout, _ source: any BlockSource, _ parts: ProcessParts?, _ training: SharedGradients?
    ) throws {
        (self.layout, self.source, self.parts, self.training) = (layout, source, parts, training)
        rows = try (0..<2).map { parity in
            let sizes = layout.sizes.indices.filter { $0 % 2 == parity }.map(source.rowSize)
            return try .zeros([sizes.max() ?? 0], dtype: .uint8, device: source.device)
        }
    }

    /// Takes a tensor of the network in, from the CPU.
    /// - Returns: what stands for it, of its shape and type.
    func place(_ name: String, _ value: Tensor) throws -> Tensor {
        guard let place = layout.places[name], place.range.count == value.byteCount else {
            preconditionFailure("`\(name)` is another tensor than in the layout")
        }
        guard takesTurns(place.block) else { return try value.to(device: source.device) }
        try source.keep(value, place)
        let leaf = try rows[place.block % 2].sliced(0, place.range).viewed(as: value.dtype).reshaped(value.shape)
            .detached()
        try training?.add(leaf, name, place, wasZero: value.detached().norm().item() == 0)
        return leaf
    }

    /// Whether a block comes and goes.
    private func takesTurns(_ block: Int) -> Bool { source.rowSize(block) > 0 }

    /// Adds up tensors over all processes, in their place.
    public func sum(_ tensors: [Tensor]) throws { try parts?.group.sum(tensors) }

    /// Adds up the gradients of a block.
    func collect(_ name: String) throws {
        guard let block = layout.order[name] else { preconditionFailure("there is no block `\(name)`") }
        try training?.collect(block)
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
        if takesTurns(block), held[block % 2] != block {
            if coming != nil { try finish() }
            try begin(block)
            try finish()
        }
        guard block != last else { return }
        let next = block > last ? block + 1 : block - 1
        last = block
        guard layout.sizes.indices.contains(next), takesTurns(next) else { return }
        if coming == nil, held[next % 2] != next { try begin(next) }
    }

    private func begin(_ block: Int) throws {
        held[block % 2] = nil
        coming = (block, try source.begin(block, in: rows[block % 2]))
    }

    private func finish() throws {
        guard let (block, arrival) = coming else { return }
        coming = nil
        try arrival.finish()
        held[block % 2] = block
    }
}

extension SharedBlocks? {
    /// Runs a block of a network with its numbers there. A block that takes turns is always computed again for its
    /// gradients, for its numbers are gone by then.
    /// - Parameters:
    ///   - isCheckpointing: whether the block is computed again where it takes no turns.
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
