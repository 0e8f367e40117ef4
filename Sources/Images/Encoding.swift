import CJPEG
import CPNG
import CWebP
import Failures
import Files

extension Image {
    /// The image as a JPEG file, quality 1...100, chroma halved both ways. A side over 65500 pixels is a failure.
    public func jpeg(quality: Int = 90) throws -> [UInt8] {
        guard (1...100).contains(quality) else {
            throw Failure.input("a JPEG quality out of range", expected: "1 to 100", got: "\(quality)")
        }
        return try encoded("JPEG", free: cascade_jpeg_free) { pixels, out, size, error, errorSize in
            cascade_jpeg_encode(pixels, width, height, Int32(quality), out, size, error, errorSize).rawValue
        }
    }

    /// The image as a PNG file.
    /// - Parameter texts: what other programs can read in it, by keyword.
    public func png(texts: [(keyword: String, text: String)] = []) throws -> [UInt8] {
        let bytes = try encoded("PNG", free: cascade_png_free) { pixels, out, size, error, errorSize in
            cascade_png_encode(pixels, width, height, out, size, error, errorSize).rawValue
        }
        return PNGTexts.inserted(texts, into: bytes)
    }

    /// The image as a lossy WebP file, quality 0...100. A side over 16383 pixels is a failure.
    public func webp(quality: Int = 90) throws -> [UInt8] {
        try encoded("WebP", free: cascade_webp_free) { pixels, out, size, error, errorSize in
            cascade_webp_encode(pixels, width, height, Int32(quality), out, size, error, errorSize).rawValue
        }
    }

    /// The endings of names that say what an image is written as.
    public static let endings = ["png", "jpg", "jpeg", "webp"]

    /// Writes the image in the format that the name's ending asks for.
    /// - Parameter texts: go into a PNG file, by keyword.
    public func write(
        to path: String, quality: Int = 90, texts: [(keyword: String, text: String)] = []
    ) throws {
        let ending = path.split(separator: ".").last.map { $0.lowercased() }
        switch ending {
        case "png": try writeAtomically(png(texts: texts), to: path)
        case "jpg", "jpeg": try writeAtomically(jpeg(quality: quality), to: path)
        case "webp": try writeAtomically(webp(quality: quality), to: path)
        default:
            throw Failure.input(
                "can't tell the image's format from its name", at: .init(path),
                expected: "a name in .png, .jpg or .webp")
        }
    }

    private typealias Encoder = (
        UnsafePointer<UInt8>?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, UnsafeMutablePointer<Int>,
        UnsafeMutablePointer<CChar>, Int
    ) -> UInt32

    /// Calls an encoder's door and takes over the bytes it allocated.
    private func encoded(
        _ format: String, free: (UnsafeMutablePointer<UInt8>?) -> Void, _ encode: Encoder
    ) throws -> [UInt8] {
        var out: UnsafeMutablePointer<UInt8>?
        var size = 0
        let (status, message) = withErrorMessage { encode(pixels, &out, &size, $0, $1) }
        defer { free(out) }
        if status != 0 { throw Failure.run("can't encode the image as \(format)", got: message) }
        return [UInt8](UnsafeBufferPointer(start: out, count: size))
    }
}
