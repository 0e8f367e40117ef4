/// Texts in PNG files, by keyword: `tEXt` where Latin-1 holds them, else `iTXt` (PNG specification, 11.3.3).
public enum PNGTexts {
    /// The signature and the header's chunk, behind which texts stand.
    private static let headerEnd = 8 + 25

    static func inserted(_ texts: [(keyword: String, text: String)], into png: [UInt8]) -> [UInt8] {
        texts.isEmpty ? png : png.prefix(headerEnd) + texts.flatMap(chunk) + png.dropFirst(headerEnd)
    }

    private static func chunk(_ keyword: String, _ text: String) -> [UInt8] {
        let name = Array(keyword.utf8) + [0]
        let latin = text.unicodeScalars.compactMap { UInt8(exactly: $0.value) }
        guard latin.count == text.unicodeScalars.count, !latin.contains(0) else {
            // Not compressed, of no language, and the keyword not translated.
            return chunk("iTXt", name + [0, 0, 0, 0] + text.utf8)
        }
        return chunk("tEXt", name + latin)
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let content = type.utf8 + data
        return bytes(UInt32(data.count)) + content + bytes(checksum(content))
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }

    /// CRC-32 as PNG has it.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = ~0
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 {
                let polynomial: UInt32 = crc & 1 == 0 ? 0 : 0xEDB8_8320
                crc = crc >> 1 ^ polynomial
            }
        }
        return ~crc
    }

    /// The texts of a PNG file that are not compressed; empty for anything else. What is cut off is left out.
    public static func read(_ png: [UInt8]) -> [String: String] {
        guard ImageFormat(magic: png) == .png else { return [:] }
        var texts: [String: String] = [:]
        var offset = 8
        while offset + 12 <= png.count {
            let length = png[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= png.count - offset - 12 else { break }
            let type = String(decoding: png[offset + 4..<offset + 8], as: UTF8.self)
            let data = png[offset + 8..<offset + 8 + length]
            offset += 12 + length
            guard let end = data.firstIndex(of: 0) else { continue }
            let keyword = String(decoding: data[..<end], as: UTF8.self)
            let rest = data[(end + 1)...]
            switch type {
            case "tEXt": texts[keyword] = String(String.UnicodeScalarView(rest.map { Unicode.Scalar($0) }))
            case "iTXt":
                // Two bytes say whether and how it is compressed; language and translation end with 0.
                let parts = rest.dropFirst(2).split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
                if rest.first == 0, parts.count == 3 { texts[keyword] = String(decoding: parts[2], as: UTF8.self) }
            default: continue
            }
        }
        return texts
    }
}
