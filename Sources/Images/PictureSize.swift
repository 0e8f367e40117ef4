/// The size that an encoded picture will have once it is decoded.
public struct PictureSize: Hashable, Sendable {
    public let width: Int
    public let height: Int

    /// Reads the header of a JPEG, PNG or WebP file, and a JPEG's EXIF orientation; it fails as ``Picture`` does where
    /// that can't be read or declares more than `pixelLimit` pixels.
    public init(
        ofHeader bytes: [UInt8], name: String = "picture", pixelLimit: Int = Picture.defaultPixelLimit
    ) throws {
        let (format, width, height) = try readHeader(bytes, name: name, pixelLimit: pixelLimit)
        let isTransposed = format == .jpeg && Orientation(jpeg: bytes).isTransposed
        self.width = isTransposed ? height : width
        self.height = isTransposed ? width : height
    }
}
