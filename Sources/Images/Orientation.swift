/// How a camera was held: EXIF's orientation, 1...8 (EXIF 2.32, tag 0x0112).
struct Orientation: Equatable {
    /// Rows and columns change places.
    var isTransposed = false
    /// After that, columns run from right to left.
    var isMirrored = false
    /// After that, rows run from bottom to top.
    var isFlipped = false

    init(exif value: Int) {
        isTransposed = (5...8).contains(value)
        isMirrored = [2, 3, 6, 7].contains(value)
        isFlipped = [3, 4, 7, 8].contains(value)
    }

    /// The orientation in a JPEG file's EXIF segment; upright where there is none or it is damaged.
    init(jpeg bytes: [UInt8]) {
        self.init(exif: Orientation.exifValue(inJPEG: bytes) ?? 1)
    }

    /// Walks the segments up to the first scan.
    private static func exifValue(inJPEG bytes: [UInt8]) -> Int? {
        var position = 2
        while position + 4 <= bytes.count, bytes[position] == 0xFF {
            let marker = bytes[position + 1]
            if marker == 0xFF {  // padding
                position += 1
                continue
            }
            if marker == 0xDA || marker == 0xD9 { return nil }  // scan, end
            let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
            guard length >= 2, position + 2 + length <= bytes.count else { return nil }
            let segment = bytes[(position + 4)..<(position + 2 + length)]
            if marker == 0xE1, segment.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0]) {  // "Exif"
                return exifValue(inTIFF: segment.dropFirst(6))
            }
            position += 2 + length
        }
        return nil
    }

    /// Looks through the first directory of a TIFF block.
    private static func exifValue(inTIFF block: ArraySlice<UInt8>) -> Int? {
        let isLittle = block.starts(with: [0x49, 0x49])
        guard isLittle || block.starts(with: [0x4D, 0x4D]) else { return nil }
        func number(at offset: Int, bytes count: Int) -> Int? {
            guard offset >= 0, offset + count <= block.count else { return nil }
            let digits = block.dropFirst(offset).prefix(count)
            return (isLittle ? Array(digits.reversed()) : Array(digits)).reduce(0) { $0 << 8 | Int($1) }
        }
        guard let directory = number(at: 4, bytes: 4), let entries = number(at: directory, bytes: 2) else { return nil }
        for entry in 0..<entries {
            let offset = directory + 2 + entry * 12
            guard let tag = number(at: offset, bytes: 2) else { return nil }
            if tag == 0x0112 { return number(at: offset + 8, bytes: 2) }
        }
        return nil
    }
}

extension Picture {
    /// The picture turned upright.
    func oriented(_ orientation: Orientation) -> Picture {
        if orientation == Orientation(exif: 1) { return self }
        let newWidth = orientation.isTransposed ? height : width
        let newHeight = orientation.isTransposed ? width : height
        let turned = [UInt8](unsafeUninitializedCapacity: pixels.count) { turned, initialized in
            for y in 0..<newHeight {
                let row = orientation.isFlipped ? newHeight - 1 - y : y
                for x in 0..<newWidth {
                    let column = orientation.isMirrored ? newWidth - 1 - x : x
                    let source = orientation.isTransposed ? column * width + row : row * width + column
                    for channel in 0..<3 { turned[(y * newWidth + x) * 3 + channel] = pixels[source * 3 + channel] }
                }
            }
            initialized = pixels.count
        }
        return Picture(width: newWidth, height: newHeight, pixels: turned)
    }
}
