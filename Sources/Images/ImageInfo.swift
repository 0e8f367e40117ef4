import Failures

/// What the headers of an image file tell, without its pixels being decoded.
public struct ImageInfo: Hashable, Sendable {
    /// Told by the file's first bytes, whatever its name ends in.
    public let format: ImageFormat
    /// In pixels, upright: after the EXIF orientation.
    public let width: Int
    /// In pixels, upright: after the EXIF orientation.
    public let height: Int
    /// Bits of a sample as it is stored: 1, 2, 4, 8 or 16 in a PNG, else 8.
    public let bitDepth: Int
    /// Whether an ICC profile lies in the file. It is ignored, as in the reference: a log may want to say so.
    public let hasColourProfile: Bool
    let orientation: Orientation

    /// What decoding takes at most, in bytes: see ``Image/init(decoding:name:covering:pixelLimit:)``.
    public func decodedBytes(covering target: (width: Int, height: Int)? = nil) -> Int {
        let eighths = target.map { Image.eighths(of: self, covering: $0) } ?? 8
        let pixels = ((width * eighths + 7) / 8) * ((height * eighths + 7) / 8)
        // Turning an image makes a second one.
        return pixels * ((ImageCodec(format)?.channels ?? 3) + (orientation == Orientation() ? 0 : 3))
    }
}

extension Image {
    /// How many bytes one of a deflate stream can stand for (zlib's technical details).
    private static let mostDeflated = 1032

    /// Reads a JPEG, PNG, WebP or BMP file's headers. What is no image, has damaged headers or declares more than
    /// `pixelLimit` pixels is a failure of the input at `name`.
    public static func info(
        of bytes: [UInt8], name: String = "image", pixelLimit: Int = defaultPixelLimit
    ) throws -> ImageInfo {
        guard let format = ImageFormat(magic: bytes) else {
            throw Failure.input("not an image", at: .init(name), expected: "JPEG, PNG, WebP or BMP")
        }
        guard let door = ImageCodec(format) else {
            let bitmap = try Bitmap(bytes, name: name, pixelLimit: pixelLimit)
            return ImageInfo(
                format: format, width: bitmap.width, height: bitmap.height, bitDepth: 8, hasColourProfile: false,
                orientation: Orientation())
        }
        var width = 0
        var height = 0
        if format == .webp, let animation = WebPAnimation(bytes) {
            (width, height) = (animation.width, animation.height)
            try checkSize(width, height, pixelLimit, format, name: name)
        } else {
            try checkDoor("can't read the \(format.rawValue) image", name: name) {
                door.size(bytes, bytes.count, UInt64(clamping: pixelLimit), &width, &height, $0, $1)
            }
        }
        // A PNG's header is its first chunk, whose depth follows the two sides.
        let bitDepth = format == .png && bytes.count > 24 ? Int(bytes[24]) : 8
        if format == .png, width * height / 8 * bitDepth > bytes.count * mostDeflated {
            throw Failure.input(
                "can't read the PNG image", at: .init(name),
                got: "\(width) x \(height) pixels in \(bytes.count) bytes, more than they can hold")
        }
        let metadata = Metadata(of: bytes, format: format)
        let isTurned = metadata.orientation.isTransposed
        return ImageInfo(
            format: format, width: isTurned ? height : width, height: isTurned ? width : height,
            bitDepth: bitDepth, hasColourProfile: metadata.hasColourProfile, orientation: metadata.orientation)
    }

    /// Refuses more pixels than a limit, in the words of the doors.
    static func checkSize(
        _ width: Int, _ height: Int, _ pixelLimit: Int, _ format: ImageFormat, name: String
    ) throws {
        guard width > pixelLimit / max(height, 1) else { return }
        throw Failure.input(
            "can't read the \(format.rawValue) image", at: .init(name),
            got: "\(width) x \(height) pixels, more than the limit of \(pixelLimit)")
    }
}
