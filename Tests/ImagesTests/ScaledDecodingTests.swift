import Images
import Testing

@Suite struct ScaledDecoding {
    /// An image of 80 x 57 in a file, brought to sides that leave a half, a quarter, an eighth of it large enough.
    @Test(arguments: [(17, 11, 1), (16, 12, 1), (16, 11, 2), (9, 5, 2), (8, 5, 4), (5, 2, 4), (4, 2, 8), (1, 1, 8)])
    func `a JPEG is decoded no finer than its target needs`(width: Int, height: Int, divisor: Int) throws {
        let bytes = try Golden.bytes("scaled.jpg")
        let decoded = try Image(decoding: bytes, covering: (width, height))
        let expected = try Golden.image("scaled-\(divisor).ppm")
        #expect(try largestDifference(decoded, expected) <= 2)
    }

    @Test func `resized, it differs little from the whole`() throws {
        let bytes = try Golden.bytes("natural.jpg")
        let whole = try Image(decoding: bytes)
        #expect(whole.width == 256 && whole.height == 176)
        for (width, height, divisor) in [(51, 35, 2), (40, 30, 2), (25, 17, 4), (12, 8, 8)] {
            let scaled = try Image(decoding: bytes, covering: (width, height))
            #expect(scaled.width == 256 / divisor)
            let (part, all) = (
                scaled.resized(width: width, height: height), whole.resized(width: width, height: height)
            )
            let squares = zip(part.pixels, all.pixels).map { one, other in
                let difference = Double(one) - Double(other)
                return difference * difference
            }
            // A mean square of 6.5 is a PSNR of 40 dB.
            #expect(squares.reduce(0, +) / Double(squares.count) < 6.5, "\(width) x \(height)")
        }
    }

    @Test func `the target is upright, as the image is`() throws {
        let upright = try Golden.image("exif-6.jpg.ppm")
        #expect(upright.width == 8 && upright.height == 13)
        let bytes = try Golden.bytes("exif-6.jpg")
        let half = try Image(decoding: bytes, covering: (1, 2))
        #expect(half.width == 4 && half.height == 7)
        #expect(try Image(decoding: bytes, covering: (1, 3)) == Image(decoding: bytes))
    }

    @Test(arguments: ["rgb.png", "lossy.webp"])
    func `other files are decoded whole`(name: String) throws {
        let bytes = try Golden.bytes(name)
        #expect(try Image(decoding: bytes, covering: (1, 1)) == Image(decoding: bytes))
    }

    @Test func `a fit asks for what it resizes to, not for its bucket`() throws {
        let bytes = try Golden.bytes("scaled.jpg")
        let fit = try AspectBuckets(size: 11, step: 1).fit(width: 80, height: 57)
        #expect(fit.resizedWidth == 15 && fit.resizedHeight == 11)
        let image = try Image(decoding: bytes, for: fit)
        #expect(image.width == 40)
        let fitted = image.fitted(fit)
        #expect(fitted.width == 11 && fitted.height == 11)
        #expect(try meanDifference(fitted, Image(decoding: bytes).fitted(fit)) < 6)
    }
}
