import Torch

/// A file that `torch.save` wrote, zip or legacy: mapped, its pickle read by a machine that builds tensors and plain
/// values only, its tensors read when they are asked for.
///
/// Dictionaries within dictionaries become names with dots (`state_dict.module.conv.weight`), places in lists their
/// numbers. What is no tensor is left out. Source of the formats: PyTorch, `torch/serialization.py`.
public final class TorchFile: NamedTensors {
    /// Where the file lies, for messages.
    public let path: String
    /// Every tensor, in the order in which the pickle has them.
    public let entries: [TensorEntry]
    /// Empty: the format has no texts beside its tensors.
    public let metadata: [String: String] = [:]
    private let file: MappedFile
    private let places: [TensorLocation]
    private let positions: TensorPositions

    /// Maps the file and reads its pickle.
    /// - Throws: a failure of the input where it can't be opened, is broken, or holds more than plain values.
    public convenience init(_ path: String) throws { try self.init(MappedFile(path)) }

    init(_ file: MappedFile) throws {
        self.file = file
        path = file.path
        let content = try TorchContent.isZip(file.bytes) ? TorchContent(zip: file) : TorchContent(legacy: file)
        var entries: [TensorEntry] = []
        var places: [TensorLocation] = []
        for (name, tensor) in try PickleNames(content.machine, file.path).tensors(in: content.value) {
            guard let storage = content.storages[tensor.storage.key],
                let place = TensorLocation(tensor, in: storage)
            else { throw content.machine.broken("tensor `\(name)` reaches outside of its storage") }
            entries.append(TensorEntry(name: name, dtype: tensor.dtype, shape: tensor.shape))
            places.append(place)
        }
        self.entries = entries
        self.places = places
        positions = try TensorPositions(of: entries, in: path)
    }

    /// A tensor by its name with dots, byte by byte; nil where there is none.
    public subscript(name: String) -> TensorEntry? { positions[name].map { entries[$0] } }

    /// The tensor of a name, on the CPU: a view of the mapped file where it lies there in one piece and aligned, as
    /// zip files have it; else a copy.
    public func tensor(_ name: String) throws -> Tensor? {
        guard let index = positions[name] else { return nil }
        let (entry, place) = (entries[index], places[index])
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[place.range])
        guard place.isContiguous else {
            return try place.gathered(bytes).withUnsafeBytes {
                try Tensor(bytes: $0, shape: entry.shape, dtype: entry.dtype)
            }
        }
        guard let base = bytes.baseAddress, !bytes.isEmpty, Int(bitPattern: base) % entry.dtype.size == 0 else {
            return try Tensor(bytes: bytes, shape: entry.shape, dtype: entry.dtype)
        }
        return try Tensor(borrowing: bytes, shape: entry.shape, dtype: entry.dtype, owner: file)
    }

    /// Takes the tensor's whole pages out of memory, where nobody keeps a view of them.
    public func release(_ name: String) {
        if let position = positions[name] { file.release(places[position].range) }
    }
}
