import Failures
import Files
import JSON
import Torch

/// Tensors spread over several files, with an index that says in which file each is: `*.index.json`.
///
/// Source: transformers, `modeling_utils`, `weight_map`.
public final class ShardedTensors: NamedTensors {
    /// The index, beside which its files lie.
    public let path: String
    /// Every tensor that the index names, in its order, as its shard has it.
    public let entries: [TensorEntry]
    /// Empty: the index's own metadata is not read.
    public let metadata: [String: String] = [:]
    private let shards: [ExactText: any NamedTensors]
    /// The shard of each entry.
    private let homes: [ExactText]
    private let positions: TensorPositions

    private static let shardLimit = 1_000

    /// - Parameter path: the index; its files lie beside it.
    /// - Throws: a failure of the input that names what is missing, or a file that would lie outside of the folder.
    public init(_ path: String) throws {
        self.path = path
        let place = Failure.Place(path)
        guard let map = try JSON.read(path)["weight_map"]?.objectValue else {
            throw Failure.input("not an index of shards", at: place, expected: "an object `weight_map`")
        }
        var shards: [ExactText: any NamedTensors] = [:]
        var entries: [TensorEntry] = []
        var homes: [ExactText] = []
        var missing: [String] = []
        for (name, value) in map {
            guard let file = value.stringValue else {
                throw Failure.input("the file of `\(name)` is no text", at: place)
            }
            let home = ExactText(file)
            if shards[home] == nil {
                let parts = file.split(separator: "/", omittingEmptySubsequences: false)
                guard !parts.contains(where: { $0.isEmpty || $0 == ".." || $0 == "." }), !file.contains("\0") else {
                    throw Failure.input("the index names a file outside of its folder", at: place, got: file)
                }
                guard shards.count < Self.shardLimit else {
                    throw Failure.input("the index names more than \(Self.shardLimit) files", at: place)
                }
                let shard = sibling(file, of: path)
                guard fileExists(shard) else {
                    throw Failure.input(
                        "a shard is missing", at: place, expected: shard,
                        advice: "all files of the index belong in one folder")
                }
                shards[home] = try Tensors.open(file: shard)
            }
            guard let entry = shards[home]?[name] else {
                missing.append("\(name) in \(file)")
                continue
            }
            homes.append(home)
            entries.append(entry)
        }
        guard missing.isEmpty else {
            throw Failure.input(
                "the shards lack \(missing.count) tensors of the index "
                    + "(\(missing.prefix(8).joined(separator: ", "))\(missing.count > 8 ? ", …" : ""))", at: place)
        }
        self.shards = shards
        self.entries = entries
        self.homes = homes
        positions = try TensorPositions(of: entries, in: path)
    }

    /// The shards, sorted.
    public var files: [String] { shards.values.map(\.path).sorted() }

    /// A tensor of any shard by its name, byte by byte; nil where the index has none.
    public subscript(name: String) -> TensorEntry? { positions[name].map { entries[$0] } }

    /// The tensor of its shard, on the CPU, perhaps as a view of the mapped file; nil where the index has none.
    public func tensor(_ name: String) throws -> Tensor? {
        guard let position = positions[name] else { return nil }
        return try shards[homes[position]]?.tensor(name)
    }

    /// Takes what was read of the tensor out of memory, where nobody keeps a view of it.
    public func release(_ name: String) {
        if let position = positions[name] { shards[homes[position]]?.release(name) }
    }
}
