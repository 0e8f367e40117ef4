import Failures

/// A BMP file of 24 or 32 bits a pixel that is not compressed, as nearly all are.
///
/// The fourth byte of a pixel is passed over: most writers leave it 0, and it then means nothing.
/// Source: Microsoft's BITMAPFILEHEADER and BITMAPINFOHEADER.
struct Bitmap {
    let width: Int
    let height: Int
    private let bytes: [UInt8]
    private let bytesPerPixel: Int
    private let start: Int
    private let isTopDown: Bool

    /// A row begins at a multiple of four bytes.
    private var stride: Int { (width * bytesPerPixel + 3) / 4 * 4 }

    /// Reads the headers. What they can't mean, and pixels that are not there, are failures of the input at `name`.
    init(_ bytes: [UInt8], name: String, pixelLimit: Int) throws {
        func refusal(_ got: String, expected: String? = nil) -> Failure {
            .input("can't read the BMP image", at: .init(name), expected: expected, got: got)
        }
        func number(_ offset: Int, _ count: Int) -> Int? { bytes[...].number(at: offset, bytes: count, isLittle: true) }
        func signed(_ offset: Int) -> Int? { number(offset, 4).map { Int(Int32(truncatingIfNeeded: $0)) } }
        guard let start = number(10, 4), let header = number(14, 4), header >= 40, let width = signed(18),
            let height = signed(22), let bits = number(28, 2), let compression = number(30, 4), width > 0, height != 0
        else { throw refusal("a header that is cut off or of another kind") }
        let isPlain = compression == 0 || compression == 3 && bits == 32 && Self.hasUsualMasks(bytes)
        guard bits == 24 || bits == 32, isPlain else {
            throw refusal("\(bits) bits, compression \(compression)", expected: "24 or 32 bits, not compressed")
        }
        try Image.checkSize(width, abs(height), pixelLimit, .bmp, name: name)
        self.bytes = bytes
        self.width = width
        self.height = abs(height)
        self.start = start
        isTopDown = height < 0
        bytesPerPixel = bits / 8
        // The last row may lack what fills it up.
        guard start >= 14 + header, start + stride * (self.height - 1) + width * bytesPerPixel <= bytes.count else {
            throw refusal("\(bytes.count) bytes, fewer than \(width) x \(self.height) pixels take")
        }
    }

    /// Whether the masks that say where the colours lie are those of blue, green, red.
    private static func hasUsualMasks(_ bytes: [UInt8]) -> Bool {
        [0xFF0000, 0xFF00, 0xFF].enumerated().allSatisfy { index, mask in
            bytes[...].number(at: 54 + 4 * index, bytes: 4, isLittle: true) == mask
        }
    }

    var image: Image {
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { pixels, count in
            for row in 0..<height {
                let source = start + (isTopDown ? row : height - 1 - row) * stride
                for column in 0..<width {
                    let (from, to) = (source + column * bytesPerPixel, (row * width + column) * 3)
                    for channel in 0..<3 { pixels[to + channel] = bytes[from + 2 - channel] }
                }
            }
            count = width * height * 3
        }
        return Image(width: width, height: height, pixels: pixels)
    }
}
