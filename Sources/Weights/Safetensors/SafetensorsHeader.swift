import Files
import JSON

/// The beginning of a safetensors file: which tensors follow, where and how large, and the texts beside them.
struct SafetensorsHeader {
    /// All that stands before the data.
    let bytes: [UInt8]
    /// The positions of the entries in the order of their data.
    let order: [Int]
    /// Bytes of data.
    let dataSize: Int

    /// - Parameter alignment: where the data begin, modulo `StreamedFile.alignment`; at any multiple of 8 where nil.
    init(_ entries: [TensorEntry], metadata: [String: String], alignment: Int? = nil) {
        // Larger elements first keeps every tensor aligned to its element size, as the format's own writer does.
        order = entries.indices.sorted { (entries[$1].dtype.size, $0) < (entries[$0].dtype.size, $1) }
        var header = JSON.Object()
        if !metadata.isEmpty {
            var texts = JSON.Object()
            for key in metadata.keys.sorted() { texts[key] = metadata[key].map(JSON.string) }
            header["__metadata__"] = .object(texts)
        }
        var offset = 0
        for position in order {
            let entry = entries[position]
            let end = offset + entry.byteCount
            header[entry.name] = [
                "dtype": .string(entry.dtype.safetensorsCode),
                "shape": .array(entry.shape.map { .integer($0) }),
                "data_offsets": [.integer(offset), .integer(end)],
            ]
            offset = end
        }
        dataSize = offset
        var text = Array(JSON.object(header).text().utf8)
        let start = 8 + text.count
        // The format lets spaces follow the header.
        let padding =
            alignment.map { ($0 - start % StreamedFile.alignment + StreamedFile.alignment) % StreamedFile.alignment }
            ?? (8 - start % 8) % 8
        text += [UInt8](repeating: UInt8(ascii: " "), count: padding)
        bytes = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }
}
