/// What an image file says beside its pixels: how the camera was held, and whether a colour profile lies in it.
///
/// Damaged or missing blocks count as absent: they are no reason to refuse the pixels.
struct Metadata: Equatable {
    var orientation = Orientation()
    var hasColourProfile = false

    init(of bytes: [UInt8], format: ImageFormat) {
        switch format {
        case .jpeg: readJPEG(bytes)
        case .png: readPNG(bytes)
        case .webp: readWebP(bytes)
        case .bmp: break
        }
    }

    /// Walks the segments up to the first scan.
    private mutating func readJPEG(_ bytes: [UInt8]) {
        var position = 2
        var isOriented = false
        while position + 4 <= bytes.count, bytes[position] == 0xFF {
            let marker = bytes[position + 1]
            if marker == 0xFF {  // padding
                position += 1
                continue
            }
            if marker == 0xDA || marker == 0xD9 { return }  // scan, end
            let length = bytes[...].number(at: position + 2, bytes: 2, isLittle: false) ?? 0
            guard length >= 2, position + 2 + length <= bytes.count else { return }
            let segment = bytes[(position + 4)..<(position + 2 + length)]
            if marker == 0xE1, !isOriented, segment.starts(with: Self.exifMagic) {
                isOriented = true
                orientation = Orientation(tiff: segment.dropFirst(Self.exifMagic.count)) ?? Orientation()
            } else if marker == 0xE2, segment.starts(with: "ICC_PROFILE\0".utf8) {
                hasColourProfile = true
            }
            position += 2 + length
        }
    }

    /// Walks the chunks to the end: EXIF may stand behind the pixels.
    private mutating func readPNG(_ bytes: [UInt8]) {
        var position = 8
        while let length = bytes[...].number(at: position, bytes: 4, isLittle: false), position + 12 <= bytes.count,
            length <= bytes.count - position - 12
        {
            let kind = bytes[(position + 4)..<(position + 8)]
            if kind.elementsEqual("eXIf".utf8) {
                let block = bytes[(position + 8)..<(position + 8 + length)]
                orientation = Orientation(tiff: block) ?? orientation
            } else if kind.elementsEqual("iCCP".utf8) {
                hasColourProfile = true
            }
            position += 12 + length
        }
    }

    /// Walks the RIFF chunks to the end, where EXIF stands.
    private mutating func readWebP(_ bytes: [UInt8]) {
        var position = 12
        while let length = bytes[...].number(at: position + 4, bytes: 4, isLittle: true),
            length <= bytes.count - position - 8
        {
            let kind = bytes[position..<(position + 4)]
            if kind.elementsEqual("EXIF".utf8) {
                var block = bytes[(position + 8)..<(position + 8 + length)]
                if block.starts(with: Self.exifMagic) { block = block.dropFirst(Self.exifMagic.count) }
                orientation = Orientation(tiff: block) ?? orientation
            } else if kind.elementsEqual("ICCP".utf8) {
                hasColourProfile = true
            }
            position += 8 + length + length % 2
        }
    }

    /// What stands before the TIFF block in a JPEG's EXIF segment: "Exif" and two zeros.
    private static let exifMagic: [UInt8] = [0x45, 0x78, 0x69, 0x66, 0, 0]
}

extension ArraySlice<UInt8> {
    /// An unsigned number of up to 7 bytes at an offset from the slice's beginning; nil where it does not lie within.
    func number(at offset: Int, bytes count: Int, isLittle: Bool) -> Int? {
        guard offset >= 0, offset <= self.count - count else { return nil }
        let digits = dropFirst(offset).prefix(count)
        return isLittle
            ? digits.reversed().reduce(0) { $0 << 8 | Int($1) } : digits.reduce(0) { $0 << 8 | Int($1) }
    }
}
