import Failures
import Files
import JSON
import Torch

/// Writes tensors to a safetensors file, one after another, so that only one is in memory beside its source.
public enum SafetensorsWriter {
    /// Writes `tensors` in the order given, beside the place and renamed over it.
    /// - Throws: a failure of the run where the file can't be written; nothing is left behind then.
    public static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to path: String
    ) throws {
        // Larger elements first keeps every tensor aligned to its element size, as the format's own writer does.
        let ordered = tensors.enumerated().sorted {
            ($1.element.tensor.dtype.size, $0.offset) < ($0.element.tensor.dtype.size, $1.offset)
        }.map(\.element)
        var header = JSON.Object()
        if !metadata.isEmpty {
            var texts = JSON.Object()
            for key in metadata.keys.sorted() { texts[key] = metadata[key].map(JSON.string) }
            header["__metadata__"] = .object(texts)
        }
        var offset = 0
        for (name, tensor) in ordered {
            let end = offset + tensor.byteCount
            header[name] = [
                "dtype": .string(tensor.dtype.safetensorsCode),
                "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(offset)), .integer(Int64(end))],
            ]
            offset = end
        }
        var text = Array(JSON.object(header).text().utf8)
        text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)

        let file = try AtomicFile(at: path)
        try withUnsafeBytes(of: UInt64(text.count).littleEndian) { try file.write($0) }
        try file.write(text)
        for (_, tensor) in ordered {
            try tensor.detached().to(device: .cpu).contiguous().withBytes { try file.write($0) }
        }
        try file.commit()
    }
}
