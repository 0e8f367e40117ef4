/// What the headers of a picture file tell, without its pixels being decoded.
public struct PictureInfo: Hashable, Sendable {
    /// In pixels, upright: after the EXIF orientation.
    public let width: Int
    /// In pixels, upright: after the EXIF orientation.
    public let height: Int
}

extension Picture {
    /// Reads a JPEG, PNG or WebP file's headers. What is no picture, has damaged headers or declares more than
    /// `pixelLimit` pixels is a failure of the input at `name`.
    public static func info(
        of bytes: [UInt8], name: String = "picture", pixelLimit: Int = defaultPixelLimit
    ) throws -> PictureInfo {
        let (format, width, height) = try readHeader(bytes, name: name, pixelLimit: pixelLimit)
        let isTransposed = format == .jpeg && Orientation(jpeg: bytes).isTransposed
        return PictureInfo(width: isTransposed ? height : width, height: isTransposed ? width : height)
    }
}
