extension Image {
    /// The rectangle whose upper left corner is (x, y); it must lie within the image.
    public func cropped(x: Int, y: Int, width newWidth: Int, height newHeight: Int) -> Image {
        precondition(
            x >= 0 && y >= 0 && newWidth > 0 && newHeight > 0 && x + newWidth <= width && y + newHeight <= height,
            "the crop lies within the image")
        var cut: [UInt8] = []
        cut.reserveCapacity(newWidth * newHeight * 3)
        for row in y..<(y + newHeight) {
            cut += pixels[((row * width + x) * 3)..<((row * width + x + newWidth) * 3)]
        }
        return Image(width: newWidth, height: newHeight, pixels: cut)
    }

    /// The middle of the image, placed as torchvision's `center_crop` places it.
    public func centreCropped(width newWidth: Int, height newHeight: Int) -> Image {
        cropped(
            x: centreOffset(of: newWidth, in: width), y: centreOffset(of: newHeight, in: height), width: newWidth,
            height: newHeight)
    }
}

/// Where a centred stretch begins: half of what is over, halves to even as Python rounds.
func centreOffset(of inner: Int, in outer: Int) -> Int {
    Int((Double(outer - inner) / 2).rounded(.toNearestOrEven))
}
