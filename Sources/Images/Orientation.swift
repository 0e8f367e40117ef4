import CPixels

/// How a camera was held: EXIF's orientation, 1...8 (EXIF 2.32, tag 0x0112).
struct Orientation: Hashable, Sendable {
    /// Rows and columns change places.
    var isTransposed = false
    /// After that, columns run from right to left.
    var isMirrored = false
    /// After that, rows run from bottom to top.
    var isFlipped = false
}

extension Orientation {
    init(exif value: Int) {
        isTransposed = (5...8).contains(value)
        isMirrored = [2, 3, 6, 7].contains(value)
        isFlipped = [3, 4, 7, 8].contains(value)
    }

    /// What the first directory of a TIFF block, which is what EXIF is, says; nil where it says nothing.
    init?(tiff block: ArraySlice<UInt8>) {
        let isLittle = block.starts(with: [0x49, 0x49])
        guard isLittle || block.starts(with: [0x4D, 0x4D]) else { return nil }
        func number(at offset: Int, bytes count: Int) -> Int? {
            block.number(at: offset, bytes: count, isLittle: isLittle)
        }
        guard let directory = number(at: 4, bytes: 4), let entries = number(at: directory, bytes: 2) else { return nil }
        for entry in 0..<entries {
            let offset = directory + 2 + entry * 12
            guard let tag = number(at: offset, bytes: 2) else { return nil }
            guard tag == 0x0112 else { continue }
            guard let value = number(at: offset + 8, bytes: 2) else { return nil }
            self.init(exif: value)
            return
        }
        return nil
    }
}

extension Image {
    /// The image turned upright.
    func oriented(_ orientation: Orientation) -> Image {
        if orientation == Orientation() { return self }
        let newWidth = orientation.isTransposed ? height : width
        let newHeight = orientation.isTransposed ? width : height
        // How far apart, among the stored pixels, neighbours of the new image lie.
        var across = orientation.isTransposed ? width : 1
        var down = orientation.isTransposed ? 1 : width
        var origin = 0
        if orientation.isMirrored {
            origin += across * (newWidth - 1)
            across = -across
        }
        if orientation.isFlipped {
            origin += down * (newHeight - 1)
            down = -down
        }
        let turned = [UInt8](unsafeUninitializedCapacity: pixels.count) { turned, initialized in
            cascade_turn_rgb(pixels, newWidth, newHeight, origin, across, down, turned.baseAddress)
            initialized = pixels.count
        }
        return Image(width: newWidth, height: newHeight, pixels: turned)
    }
}
