/// The kinds of image files that can be read, told by their first bytes.
public enum ImageFormat: String, Sendable {
    /// Decoded by libjpeg, also at a fraction of its size.
    case jpeg = "JPEG"
    /// Decoded by libpng, with all its depths and colour types.
    case png = "PNG"
    /// Lossy, lossless or animated, of which the first frame is read; decoded by libwebp.
    case webp = "WebP"
    /// A Windows bitmap of 24 or 32 bits a pixel without compression, decoded without a library.
    case bmp = "BMP"

    /// The format whose magic the bytes begin with; nil for anything else.
    public init?(magic bytes: [UInt8]) {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if bytes.starts(with: "RIFF".utf8), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
            self = .webp
        } else if bytes.starts(with: "BM".utf8) {
            self = .bmp
        } else {
            return nil
        }
    }
}
