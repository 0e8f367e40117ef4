import Torch

/// The parameters of one network by their checkpoint keys, in the order the network made them.
///
/// Loading and initialising are the same code: a layer asks its scope for a parameter, the store takes it from its
/// source, brings it to its dtype and device and remembers it.
public final class ParameterStore {
    /// A named parameter or buffer.
    public struct Entry {
        /// The name in a checkpoint, such as `blocks.0.weight`.
        public let key: String
        /// The value that the network computes with; a leaf.
        public let tensor: Tensor
        /// Statistics and the like, which no optimizer touches.
        public let isBuffer: Bool
    }

    /// Parameters and buffers in the order in which the network made them, without quantised matrices.
    public private(set) var entries: [Entry] = []
    /// The matrices that are kept in fewer bits, by key; they are no entries, for nothing trains or saves them.
    public private(set) var quantised: [(key: String, matrix: QuantisedMatrix)] = []
    /// The layers to which an adapter can add something, by path.
    public private(set) var projections: [(path: String, projection: Projection)] = []
    /// The type of every parameter that ``MatrixStorage`` does not keep otherwise; buffers are float32.
    public let dtype: DType
    /// Where all tensors of the network are in memory.
    public let device: Device
    private let matrices: MatrixStorage?
    private let blocks: SharedBlocks?
    private let source: any ParameterSource
    private var positions: [String: Int] = [:]

    /// - Parameters:
    ///   - dtype: what every parameter is converted to; buffers stay float32.
    ///   - matrices: which of them are kept otherwise; nil for none but those that the source has quantised.
    ///   - blocks: take every tensor in, from the CPU to the device, where the network's blocks take turns there.
    public init(
        from source: any ParameterSource, dtype: DType = .float32, matrices: MatrixStorage? = nil,
        blocks: SharedBlocks? = nil, device: Device = .cpu
    ) {
        self.source = source
        self.dtype = dtype
        self.matrices = matrices
        self.blocks = blocks
        self.device = device
    }

    /// The scope of the whole network.
    public var root: Scope { Scope(store: self, path: "") }

    /// Says that the network stands.
    /// - Throws: what the source could not give, all of it in one failure.
    public func finish() throws { try source.finish() }

    /// The parameter or buffer of a key; nil where the network has none, or has it quantised.
    public subscript(key: String) -> Tensor? { positions[key].map { entries[$0].tensor } }

    /// Everything an optimizer may train, by key.
    public var parameters: [(name: String, tensor: Tensor)] {
        entries.filter { !$0.isBuffer }.map { ($0.key, $0.tensor) }
    }

    /// Every tensor of a checkpoint, by key.
    public var tensors: [(name: String, tensor: Tensor)] { entries.map { ($0.key, $0.tensor) } }

    /// Numbers of the network, and the bytes that they take.
    public var size: (count: Int, bytes: Int) {
        let plain = entries.reduce((0, 0)) { ($0.0 + $1.tensor.count, $0.1 + $1.tensor.byteCount) }
        return quantised.reduce(plain) {
            ($0.0 + $1.matrix.outputs * $1.matrix.inputs, $0.1 + $1.matrix.byteCount)
        }
    }

    /// Makes all parameters leaves that want gradients, or none.
    public func setTrainable(_ value: Bool) throws {
        for entry in entries where !entry.isBuffer { try entry.tensor.setRequiresGrad(value) }
    }

    fileprivate func releaseFiles(under path: String) {
        for entry in entries where entry.key.hasPrefix(path) { source.release(entry.key) }
        for (key, _) in quantised where key.hasPrefix(path) {
            for ending in [""] + QuantisedMatrix.endings { source.release(key + ending) }
        }
    }

    fileprivate func makeMatrix(_ key: String, _ shape: [Int], _ initial: Initializer) throws -> Matrix {
        let stored = BaseDType.takes(shape) ? try source.quantised(key, shape: shape) : nil
        var matrix: QuantisedMatrix
        // Blocks that take turns bring their tensors to the device by themselves.
        let device = blocks == nil ? device : .cpu
        if let stored {
            matrix = try stored.to(device: device)
        } else {
            guard let matrices, matrices.covers(key, shape) else {
                return .plain(try make(key, shape, initial))
            }
            guard matrices.dtype.isQuantised else {
                return .plain(try make(key, shape, initial, dtype: .bfloat16))
            }
            let value = try source.value(key, shape: shape, initial: initial)
            matrix =
                try value.isOneElementSpread
                ? .placeholder(shape, as: matrices.dtype)
                : QuantisedMatrix(value, as: matrices.dtype, name: key).to(device: device)
            source.release(key)
        }
        if let blocks {
            matrix = try matrix.replacing { try blocks.place(key + $0, $1) }
            for ending in [""] + QuantisedMatrix.endings { source.release(key + ending) }
        }
        quantised.append((key, matrix))
        return .quantised(matrix)
    }

    fileprivate func make(
        _ key: String, _ shape: [Int], _ initial: Initializer, isBuffer: Bool = false, isTable: Bool = false,
        dtype: DType? = nil
    ) throws -> Tensor {
        let value = try source.value(key, shape: shape, initial: initial)
        let dtype = isBuffer ? DType.float32 : dtype ?? self.dtype
        let device = blocks == nil ? device : .cpu
        // Beside matrices that are quantised the rest is small, and pages of the file around it are not. Of a table's pages
        // only those with rows that are looked up are ever read.
        let isQuantising = matrices?.dtype.isQuantised ?? false
        var tensor = try withoutGradients {
            guard value.isOneElementSpread else {
                let kept = try value.to(device: device).to(dtype: dtype)
                return isQuantising && !isTable && kept === value ? try kept.cloned() : kept
            }
            // A placeholder is converted before it is spread, or it would take the memory of what it stands for.
            let element = try (0..<value.rank).reduce(value) { try $0.sliced($1, 0..<1) }
            return try element.to(device: device).to(dtype: dtype).expanded(value.shape)
        }
        if let blocks { tensor = try withoutGradients { try blocks.place(key, tensor) } }
        if tensor !== value { source.release(key) }
        positions[key] = entries.count
        entries.append(Entry(key: key, tensor: tensor, isBuffer: isBuffer))
        return tensor
    }

    fileprivate func register(_ projection: Projection, at path: String) {
        projections.append((path, projection))
    }
}

/// A place in a network: hands out parameters whose keys begin with its path.
public struct Scope {
    let store: ParameterStore
    /// What keys and projections of this part begin with, without the dot behind it; empty for the whole network.
    public let path: String

    /// The scope of a part, by its name or its index.
    public func callAsFunction(_ name: String) -> Scope {
        Scope(store: store, path: path.isEmpty ? name : "\(path).\(name)")
    }

    /// The scope of a part of a list, such as `blocks.3`; counted from 0.
    public func callAsFunction(_ index: Int) -> Scope { self(String(index)) }

    /// The projections of this part so far, by their paths within it.
    public var projections: [(path: String, projection: Projection)] {
        store.projections.compactMap { known, projection in
            if path.isEmpty { return (known, projection) }
            return known.hasPrefix(path + ".") ? (String(known.dropFirst(path.count + 1)), projection) : nil
        }
    }

    /// Takes what of this part lies in mapped files out of memory; it comes again when it is asked for. Nobody may have written
    /// to it.
    public func releaseFiles() { store.releaseFiles(under: path.isEmpty ? "" : path + ".") }

    /// A parameter of this part.
    public func parameter(_ name: String, _ shape: [Int], _ initial: Initializer) throws -> Tensor {
        try store.make(self(name).path, shape, initial)
    }

    /// A parameter of which only some rows are looked up, [rows, width]: it stays in a mapped file.
    public func table(_ name: String, _ shape: [Int], _ initial: Initializer) throws -> Tensor {
        try store.make(self(name).path, shape, initial, isTable: true)
    }

    /// A matrix of this part, [out, in] or a 1x1 convolution's [out, in, 1, 1], which the store may keep in fewer bits.
    public func matrix(_ name: String, _ shape: [Int], _ initial: Initializer) throws -> Matrix {
        try store.makeMatrix(self(name).path, shape, initial)
    }

    /// A tensor that is saved with the network and not trained, float32.
    public func buffer(_ name: String, _ shape: [Int], _ initial: Initializer) throws -> Tensor {
        try store.make(self(name).path, shape, initial, isBuffer: true)
    }

    /// Makes a projection known as a place where an adapter can attach.
    public func register(_ projection: Projection, as name: String? = nil) {
        store.register(projection, at: name.map { self($0).path } ?? path)
    }
}
