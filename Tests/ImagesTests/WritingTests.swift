import COpenCV
import Failures
import Testing

/// Lines of text on images.
@Suite struct WritingTests {
    /// The dark pixels of a white image once a line stands on it, by their column.
    private func dark(_ text: String, x: Int, y: Int) -> [Int] {
        let (width, height) = (120, 40)
        var pixels = [UInt8](repeating: 255, count: width * height * 3)
        #expect(cascade_write_line(&pixels, height, width, text, x, y, 0.5, nil, 0) == CASCADE_CV_OK)
        return (0..<width * height).filter { pixels[$0 * 3] < 128 }.map { $0 % width }
    }

    @Test func `a line begins at its column and is as wide as measured`() {
        var width = 0
        #expect(cascade_line_width("III and HHH", 0.5, &width, nil, 0) == CASCADE_CV_OK)
        let columns = dark("III and HHH", x: 10, y: 30)
        let (first, last) = (columns.min() ?? 0, columns.max() ?? 0)
        #expect((10...16).contains(first) && (10 + width - 6...10 + width).contains(last), "\(first) \(last) \(width)")
    }

    @Test func `what lies outside the image is left out`() {
        #expect(dark("WWWWWWWWWWWWWWWWWWWWWWWWWWW", x: 100, y: 10).allSatisfy { $0 >= 100 })
        #expect(dark("W", x: 500, y: 10).isEmpty && dark("W", x: 0, y: 90).isEmpty && dark("", x: 0, y: 9).isEmpty)
        let (status, message) = withErrorMessage { cascade_write_line(nil, 0, 5, "a", 0, 0, 1, $0, $1) }
        #expect(status == CASCADE_CV_BAD_SIZE && message.contains("32767"))
    }
}
