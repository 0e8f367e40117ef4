extension Image {
    /// Lays an image down; it must fit.
    public mutating func paste(_ image: Image, x: Int, y: Int) {
        for row in 0..<image.height {
            let source = row * image.width * 3
            let target = ((y + row) * width + x) * 3
            pixels.replaceSubrange(
                target..<(target + image.width * 3), with: image.pixels[source..<(source + image.width * 3)])
        }
    }

    /// Runs `body` on the bytes of the pixels, to draw on them.
    public mutating func withMutablePixels<Result>(
        _ body: (UnsafeMutableBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result {
        try pixels.withUnsafeMutableBufferPointer { try body($0) }
    }
}
