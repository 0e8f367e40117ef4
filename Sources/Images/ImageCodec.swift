import CJPEG
import CPNG
import CWebP
import Failures

/// The two functions of a format's library; the three doors have the same shape and 0 for success.
struct ImageCodec {
    typealias Size = (
        UnsafePointer<UInt8>?, Int, UInt64, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int>?,
        UnsafeMutablePointer<CChar>?, Int
    ) -> UInt32
    /// The third argument is the eighths of the size wanted, which JPEG alone heeds.
    typealias Decode = (
        UnsafePointer<UInt8>?, Int, UInt32, UnsafeMutablePointer<UInt8>?, Int, UnsafeMutablePointer<CChar>?, Int
    ) -> UInt32

    /// Of what `decode` gives: RGB or RGBA.
    let channels: Int
    let size: Size
    let decode: Decode

    /// Nil for the format that is read without a library.
    init?(_ format: ImageFormat) {
        switch format {
        case .jpeg:
            channels = 3
            size = { cascade_jpeg_size($0, $1, $2, $3, $4, $5, $6).rawValue }
            decode = { cascade_jpeg_decode($0, $1, $2, $3, $4, $5, $6).rawValue }
        case .png:
            channels = 4
            size = { cascade_png_size($0, $1, $2, $3, $4, $5, $6).rawValue }
            decode = { cascade_png_decode($0, $1, $3, $4, $5, $6).rawValue }
        case .webp:
            channels = 4
            size = { cascade_webp_size($0, $1, $2, $3, $4, $5, $6).rawValue }
            decode = { cascade_webp_decode($0, $1, $3, $4, $5, $6).rawValue }
        case .bmp: return nil
        }
    }
}

/// Throws what a door says, its status 0 being success.
func checkDoor(
    _ what: String, name: String, _ call: (UnsafeMutablePointer<CChar>, Int) -> UInt32
) throws {
    let (status, message) = withErrorMessage(call)
    if status != 0 { throw Failure.input(what, at: .init(name), got: message) }
}
