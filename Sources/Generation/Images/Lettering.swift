import COpenCV
import Failures
import Images

extension Image {
    /// Writes a line in black, capitals 21 * `scale` pixels high, beginning at column `x` with its feet in row `y`. The
    /// font has ASCII alone; what lies outside the image is left out.
    public mutating func write(_ line: String, x: Int, y: Int, scale: Double) throws {
        let (height, width) = (height, width)
        let (status, message) = withMutablePixels { pixels in
            withErrorMessage { error, size in
                cascade_write_line(pixels.baseAddress, height, width, line, x, y, scale, error, size)
            }
        }
        if status != CASCADE_CV_OK { throw Failure.run("can't write on the image", got: message) }
    }

    /// The pixels that a line takes from side to side.
    public static func lineWidth(_ line: String, scale: Double) throws -> Int {
        var width = 0
        let (status, message) = withErrorMessage { cascade_line_width(line, scale, &width, $0, $1) }
        if status != CASCADE_CV_OK { throw Failure.run("can't measure a line of text", got: message) }
        return width
    }
}
