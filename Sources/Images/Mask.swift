import Files

/// Which part of an image is meant: bytes [height, width], 255 for what is, 0 for what is not, rows top down.
public struct Mask: Equatable, Sendable {
    /// In pixels, at least 1.
    public let width: Int
    /// In pixels, at least 1.
    public let height: Int
    /// [height, width], 255 for what is meant, 0 for what is not; values between come of soft edges.
    public let values: [UInt8]

    /// `values` holds height * width bytes.
    public init(width: Int, height: Int, values: [UInt8]) {
        precondition(width > 0 && height > 0 && values.count == width * height, "values are [height, width]")
        self.width = width
        self.height = height
        self.values = values
    }

    /// Decodes an image as a mask: what is opaque where it has an alpha channel with anything transparent in it, else what
    /// is white. EXIF orientation is applied.
    public init(
        decoding bytes: [UInt8], name: String = "mask", pixelLimit: Int = Image.defaultPixelLimit
    ) throws {
        let image = try Image(alphaOf: bytes, name: name, pixelLimit: pixelLimit)
        self.init(
            width: image.width, height: image.height,
            values: stride(from: 0, to: image.pixels.count, by: 3).map { start in
                UInt8(image.pixels[start..<start + 3].reduce(0) { $0 + Int($1) } / 3)
            })
    }

    /// Reads and decodes a file, likewise.
    public init(contentsOf path: String) throws { try self.init(decoding: readFile(path), name: path) }

    /// How much of the image is meant, 0...1: a place counts whole from the middle of the range on.
    public var share: Double { Double(values.count(where: { $0 > 127 })) / Double(values.count) }

    /// What is wrong with a mask that tells no part from another; nil where it does.
    public var complaint: String? {
        switch share {
        case 0: "the mask covers nothing of the image"
        case 1: "the mask covers all of the image"
        default: nil
        }
    }

    /// The mask of an image that was fitted: each place is the one of the mask that lies nearest.
    /// - Parameter fit: the image's, its cut settled (see ``AspectBuckets/Fit/settled(by:)``); the mask may be of another
    ///   size than the image.
    public func fitted(_ fit: AspectBuckets.Fit) -> Mask {
        func places(_ first: Int, _ count: Int, of resized: Int, from old: Int) -> [Int] {
            (first..<first + count).map { min(old - 1, (2 * $0 + 1) * old / (2 * resized)) }
        }
        let columns = places(fit.cropX, fit.bucket.width, of: fit.resizedWidth, from: width)
        let rows = places(fit.cropY, fit.bucket.height, of: fit.resizedHeight, from: height)
        return Mask(
            width: columns.count, height: rows.count,
            values: rows.flatMap { row in columns.map { values[row * width + $0] } })
    }
}
