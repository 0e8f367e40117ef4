import Torch

/// A part of a network that is passed in one piece.
public struct NetworkBlock {
    /// What a pass asks for the block by, in ``SharedBlocks/require(_:)``.
    public let name: String
    /// What the keys of its parameters begin with, without the dot behind it.
    public let paths: [String]

    /// - Parameter paths: all parts of the network that the block needs; each belongs to one block.
    public init(_ name: String, paths: [String]) { (self.name, self.paths) = (name, paths) }
}

/// Where the tensors of a network lie in rows of bytes, one row for each block, in the order in which a pass comes to them.
public struct BlockLayout {
    /// Of a tensor.
    struct Place {
        let block: Int
        let range: Range<Int>
    }

    /// Every tensor begins, and is cut between processes, at a multiple of it, in bytes. What is trained is cut between blocks
    /// of moments in eight bits, so that no process needs another's numbers for its scales.
    let alignment: Int

    /// Bytes of each row.
    public private(set) var sizes: [Int]
    private(set) var places: [String: Place] = [:]
    /// The place of each block in the order of a pass, by its name.
    let order: [String: Int]

    /// - Parameters:
    ///   - store: a network of which only keys, shapes and types matter.
    ///   - blocks: all of it, in the order of a pass.
    ///   - trains: whether the network is trained.
    public init(of store: ParameterStore, _ blocks: [NetworkBlock], trains: Bool = false) {
        alignment = trains ? DType.float32.size * DynamicCode.block : 64
        sizes = Array(repeating: 0, count: blocks.count)
        order = Dictionary(uniqueKeysWithValues: blocks.enumerated().map { ($1.name, $0) })
        var homes: [String: Int] = [:]
        for (index, block) in blocks.enumerated() {
            for path in block.paths { homes[path] = index }
        }
        func home(_ key: String) -> Int {
            var path = Substring(key)
            while let dot = path.lastIndex(of: ".") {
                path = path[..<dot]
                if let home = homes[String(path)] { return home }
            }
            preconditionFailure("`\(key)` belongs to no block")
        }
        for entry in store.entries { add(entry.key, entry.tensor, to: home(entry.key)) }
        for (key, matrix) in store.quantised {
            for (ending, piece) in matrix.pieces { add(key + ending, piece, to: home(key)) }
        }
    }

    private mutating func add(_ name: String, _ tensor: Tensor, to block: Int) {
        let start = sizes[block]
        places[name] = Place(block: block, range: start..<start + tensor.byteCount)
        sizes[block] = (start + tensor.byteCount + alignment - 1) / alignment * alignment
    }
}
