import Failures
import Files

/// Opens weights by what they are.
public enum Tensors {
    /// The tensors at a path, whatever their format, told by the content and not by the name: a safetensors file, a
    /// torch file (zip or legacy), an index of shards, or a folder in diffusers' or transformers' layout that holds
    /// one of them.
    public static func open(_ path: String) throws -> any NamedTensors {
        let path = try file(at: path)
        let file = try MappedFile(path)
        return try isIndex(file.bytes) ? ShardedTensors(path) : tensors(of: file)
    }

    /// The files in which the tensors at a path lie: the file itself, or the shards of an index, by name.
    public static func files(at path: String) throws -> [String] {
        try (open(path) as? ShardedTensors)?.files ?? [file(at: path)]
    }

    /// What a path stands for: itself, or the file of weights in the folder that it is.
    private static func file(at path: String) throws -> String {
        Folder.isFolder(path) ? try WeightsFolder.weights(in: path) : path
    }

    /// The tensors of one file that is no index.
    static func open(file path: String) throws -> any NamedTensors { try tensors(of: MappedFile(path)) }

    private static func tensors(of file: MappedFile) throws -> any NamedTensors {
        if isSafetensors(file.bytes) { return try SafetensorsFile(file) }
        if TorchContent.isZip(file.bytes) || TorchContent.isLegacy(file.bytes) { return try TorchFile(file) }
        let expected = "safetensors, a file of torch.save, or an index of shards"
        if let mistaken = MistakenContent(file.bytes) {
            throw mistaken.failure("not a file of weights", at: file.path, expected: expected)
        }
        // Damaged in its first bytes, a file of any format says nothing more of itself.
        throw Failure.input(
            "not a readable file of weights", at: Failure.Place(file.path),
            expected: expected,
            got: "\(file.bytes.count) bytes that begin as none of them")
    }

    /// Behind the length of its header stands the header, which is an object.
    private static func isSafetensors(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count > 8 && bytes[8] == UInt8(ascii: "{")
    }

    /// A JSON object. As the length of a header its first bytes would be beyond any file's.
    private static func isIndex(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let spaces = Array(" \t\r\n".utf8)
        guard bytes.first(where: { !spaces.contains($0) }) == UInt8(ascii: "{") else { return false }
        var cursor = ByteCursor(bytes)
        return !isSafetensors(bytes) || cursor.number(UInt64.self).map { $0 > UInt64(bytes.count) } ?? true
    }
}
