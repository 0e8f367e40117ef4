extension Picture {
    /// Lays a picture down; it must fit.
    public mutating func paste(_ picture: Picture, x: Int, y: Int) {
        for row in 0..<picture.height {
            let source = row * picture.width * 3
            let target = ((y + row) * width + x) * 3
            pixels.replaceSubrange(
                target..<(target + picture.width * 3), with: picture.pixels[source..<(source + picture.width * 3)])
        }
    }

    /// Runs `body` on the bytes of the pixels, to draw on them.
    public mutating func withMutablePixels<Result>(
        _ body: (UnsafeMutableBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result {
        try pixels.withUnsafeMutableBufferPointer { try body($0) }
    }
}
