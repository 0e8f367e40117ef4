extension Picture {
    /// The rectangle whose upper left corner is (x, y); it must lie within the picture.
    public func cropped(x: Int, y: Int, width newWidth: Int, height newHeight: Int) -> Picture {
        precondition(
            x >= 0 && y >= 0 && newWidth > 0 && newHeight > 0 && x + newWidth <= width && y + newHeight <= height,
            "the crop lies within the picture")
        var cut: [UInt8] = []
        cut.reserveCapacity(newWidth * newHeight * 3)
        for row in y..<(y + newHeight) {
            cut += pixels[((row * width + x) * 3)..<((row * width + x + newWidth) * 3)]
        }
        return Picture(width: newWidth, height: newHeight, pixels: cut)
    }

    /// The middle of the picture, placed as torchvision's `center_crop` places it.
    public func centreCropped(width newWidth: Int, height newHeight: Int) -> Picture {
        cropped(
            x: centreOffset(of: newWidth, in: width), y: centreOffset(of: newHeight, in: height), width: newWidth,
            height: newHeight)
    }
}

/// Where a centred stretch begins: half of what is over, halves to even as Python rounds.
func centreOffset(of inner: Int, in outer: Int) -> Int {
    Int((Double(outer - inner) / 2).rounded(.toNearestOrEven))
}
