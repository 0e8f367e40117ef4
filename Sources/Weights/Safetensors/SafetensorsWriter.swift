import Files
import Torch

/// Writes tensors to a safetensors file, one after another, so that only one is in memory beside its source.
public enum SafetensorsWriter {
    /// Writes `tensors` in the order given, beside the place and renamed over it.
    /// - Throws: a failure of the run where the file can't be written; nothing is left behind then.
    public static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to path: String
    ) throws {
        try write(tensors, metadata: metadata, to: path) { _ in }
    }

    /// Writes likewise, and takes the file's SHA-256 from the bytes as they go, so that nobody has to read it back.
    /// - Returns: the digest in hexadecimal.
    public static func writeHashed(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to path: String
    ) throws -> String {
        var digest = SHA256()
        try write(tensors, metadata: metadata, to: path) { digest.update($0) }
        return digest.finish()
    }

    /// Likewise, of tensors that are made when their turn comes.
    public static func writeHashed(
        _ stream: TensorStream, metadata: [String: String] = [:], to path: String
    ) throws -> String {
        var digest = SHA256()
        try write(stream, metadata: metadata, to: path) { digest.update($0) }
        return digest.finish()
    }

    private static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String], to path: String,
        _ watch: (UnsafeRawBufferPointer) -> Void
    ) throws {
        try write(TensorStream(entries(of: tensors)) { tensors[$0].tensor }, metadata: metadata, to: path, watch)
    }

    /// - Parameter watch: given the bytes of the file, in their order.
    private static func write(
        _ stream: TensorStream, metadata: [String: String], to path: String, _ watch: (UnsafeRawBufferPointer) -> Void
    ) throws {
        let header = SafetensorsHeader(stream.entries, metadata: metadata)
        let file = try AtomicFile(at: path)
        try header.bytes.withUnsafeBytes {
            watch($0)
            try file.write($0)
        }
        for position in header.order {
            try stream.tensor(position).detached().to(device: .cpu).contiguous().withBytes {
                watch($0)
                try file.write($0)
            }
        }
        try file.commit()
    }

    /// The bytes of a file of a few small tensors.
    public static func bytes(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:]
    ) throws -> [UInt8] {
        let header = SafetensorsHeader(entries(of: tensors), metadata: metadata)
        var bytes = header.bytes
        for position in header.order {
            try tensors[position].tensor.detached().to(device: .cpu).contiguous().withBytes {
                bytes.append(contentsOf: $0)
            }
        }
        return bytes
    }

    private static func entries(of tensors: [(name: String, tensor: Tensor)]) -> [TensorEntry] {
        tensors.map { TensorEntry(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) }
    }

    /// Writes a large file tensor by tensor, each made when its turn comes.
    /// - Parameters:
    ///   - entries: what will be written; the order in the file may differ.
    ///   - alignment: of the data's start, modulo `StreamedFile.alignment`: that of the memory they will be copied from.
    ///   - body: writes the bytes of the entry at this position of `entries`.
    public static func stream(
        _ entries: [TensorEntry], metadata: [String: String], alignment: Int, to path: String,
        _ body: (Int, inout StreamedFile) throws -> Void
    ) throws {
        let header = SafetensorsHeader(entries, metadata: metadata, alignment: alignment)
        var file = try StreamedFile(at: path, size: header.bytes.count + header.dataSize)
        try file.write(header.bytes)
        for position in header.order { try body(position, &file) }
        try file.commit()
    }
}
