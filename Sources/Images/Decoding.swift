import CJPEG
import CPNG
import CWebP
import Failures
import Files

extension Picture {
    /// More pixels than any photograph needs; a file that declares more is refused before memory is taken.
    public static let defaultPixelLimit = 1 << 27

    /// Decodes a JPEG, PNG or WebP file, told by its first bytes.
    ///
    /// Transparency is laid over white, a JPEG's EXIF orientation applied, 16 bits rounded to 8, CMYK converted as
    /// Pillow does. Colour profiles are ignored, as in the reference. A file that can't be read, is cut off or damaged,
    /// or declares more than `pixelLimit` pixels is a failure of the input at `name`.
    public init(decoding bytes: [UInt8], name: String = "picture", pixelLimit: Int = defaultPixelLimit) throws {
        let (format, width, height) = try readHeader(bytes, name: name, pixelLimit: pixelLimit)
        let door = Door(format)
        let stride = width * door.channels
        let decoded = try [UInt8](unsafeUninitializedCapacity: stride * height) { buffer, initialized in
            // libpng leaves rows of a later interlace pass untouched where the file ends; nothing unset may show.
            buffer.initialize(repeating: 0)
            try check("can't decode the \(format.rawValue) picture", name: name) {
                door.decode(bytes, bytes.count, buffer.baseAddress, buffer.count, $0, $1)
            }
            initialized = buffer.count
        }
        let pixels = door.channels == 4 ? overWhite(decoded) : decoded
        let upright = Picture(width: width, height: height, pixels: pixels)
        self = format == .jpeg ? upright.oriented(Orientation(jpeg: bytes)) : upright
    }

    /// Reads and decodes a file.
    public init(contentsOf path: String, pixelLimit: Int = defaultPixelLimit) throws {
        try self.init(decoding: readFile(path), name: path, pixelLimit: pixelLimit)
    }
}

/// Format and size as a file's header has them, before any orientation.
func readHeader(
    _ bytes: [UInt8], name: String, pixelLimit: Int
) throws -> (format: PictureFormat, width: Int, height: Int) {
    guard let format = PictureFormat(magic: bytes) else {
        throw Failure.input("not a picture", at: .init(name), expected: "JPEG, PNG or WebP")
    }
    var width = 0
    var height = 0
    try check("can't read the \(format.rawValue) picture", name: name) {
        Door(format).size(bytes, bytes.count, UInt64(clamping: pixelLimit), &width, &height, $0, $1)
    }
    return (format, width, height)
}

/// The two functions of a format's door; the three doors have the same shape and 0 for success.
private struct Door {
    typealias Size = (
        UnsafePointer<UInt8>?, Int, UInt64, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int>?,
        UnsafeMutablePointer<CChar>?, Int
    ) -> UInt32
    typealias Decode = (
        UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UInt8>?, Int, UnsafeMutablePointer<CChar>?, Int
    ) -> UInt32

    let channels: Int
    let size: Size
    let decode: Decode

    init(_ format: PictureFormat) {
        switch format {
        case .jpeg:
            channels = 3
            size = { cascade_jpeg_size($0, $1, $2, $3, $4, $5, $6).rawValue }
            decode = { cascade_jpeg_decode($0, $1, $2, $3, $4, $5).rawValue }
        case .png:
            channels = 4
            size = { cascade_png_size($0, $1, $2, $3, $4, $5, $6).rawValue }
            decode = { cascade_png_decode($0, $1, $2, $3, $4, $5).rawValue }
        case .webp:
            channels = 4
            size = { cascade_webp_size($0, $1, $2, $3, $4, $5, $6).rawValue }
            decode = { cascade_webp_decode($0, $1, $2, $3, $4, $5).rawValue }
        }
    }
}

/// Throws what a door says, its status 0 being success.
private func check(
    _ what: String, name: String, _ call: (UnsafeMutablePointer<CChar>, Int) -> UInt32
) throws {
    let (status, message) = withErrorMessage(call)
    if status != 0 { throw Failure.input(what, at: .init(name), got: message) }
}

/// RGBA [n, 4] laid over white: RGB [n, 3].
private func overWhite(_ rgba: [UInt8]) -> [UInt8] {
    let count = rgba.count / 4
    return [UInt8](unsafeUninitializedCapacity: count * 3) { rgb, initialized in
        for index in 0..<count {
            let alpha = Int(rgba[index * 4 + 3])
            for channel in 0..<3 {
                let mixed = Int(rgba[index * 4 + channel]) * alpha + 255 * (255 - alpha)
                rgb[index * 3 + channel] = UInt8((mixed + 127) / 255)
            }
        }
        initialized = count * 3
    }
}
