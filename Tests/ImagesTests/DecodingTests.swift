import Failures
import Images
import Testing

@Suite struct Decoding {
    /// Two decoders may round the last step of colour conversion differently, and no more.
    @Test(arguments: ["colour", "progressive", "grey", "cmyk", "ycck", "422", "411"])
    func `JPEG is decoded as Pillow decodes it`(name: String) throws {
        let decoded = try Image(decoding: Golden.bytes("\(name).jpg"))
        let expected = try Golden.image("\(name).jpg.ppm")
        #expect(try largestDifference(decoded, expected) <= 2)
        #expect(try meanDifference(decoded, expected) < 0.1)
    }

    @Test(arguments: 1...8)
    func `a JPEG's EXIF orientation is applied`(orientation: Int) throws {
        let decoded = try Image(decoding: Golden.bytes("exif-\(orientation).jpg"))
        let expected = try Golden.image("exif-\(orientation).jpg.ppm")
        #expect(decoded.width == (orientation < 5 ? 13 : 8))
        #expect(try largestDifference(decoded, expected) <= 2)
    }

    @Test(arguments: [
        "rgb", "rgba", "grey", "one-bit", "grey-2", "grey-4", "palette", "palette-2", "palette-4", "palette-alpha",
        "grey-alpha", "grey-key", "rgb-key", "interlaced", "rgb-16", "grey-16", "rgba-16", "profile", "exif",
    ])
    func `PNG is decoded, and laid over white`(name: String) throws {
        let decoded = try Image(decoding: Golden.bytes("\(name).png"))
        #expect(try largestDifference(decoded, Golden.image("\(name).png.ppm")) <= 1)
    }

    @Test(arguments: ["lossy", "lossless", "alpha", "exif"])
    func `WebP is decoded, and laid over white`(name: String) throws {
        let decoded = try Image(decoding: Golden.bytes("\(name).webp"))
        #expect(try largestDifference(decoded, Golden.image("\(name).webp.ppm")) <= 1)
    }

    @Test func `what is no image is refused with its name`() throws {
        for bytes in [[], [0xFF], Array("GIF89a".utf8), Array("RIFF....WAVE".utf8)] as [[UInt8]] {
            let failure = #expect(throws: Failure.self) { try Image(decoding: bytes, name: "some.tar/0001") }
            #expect(failure?.blame == .input)
            #expect(failure?.place?.file == "some.tar/0001")
        }
    }

    @Test func `of an animation the first frame is read`() throws {
        let whole = try Image(decoding: Golden.bytes("animation.webp"))
        let info = try Image.info(of: Golden.bytes("animation.webp"))
        #expect((whole.width, whole.height) == (info.width, info.height))
        // The golden is made of the image that lossy.webp was made of.
        #expect(try meanDifference(whole, Golden.image("lossy.webp.ppm")) < 8)

        let still = try Golden.bytes("lossy.webp")
        func little(_ number: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(number >> (8 * $0) & 0xFF) } }
        func chunk(_ name: String, _ bytes: [UInt8]) -> [UInt8] { Array(name.utf8) + little(bytes.count, 4) + bytes }
        func animation(x: Int, y: Int, _ frame: [UInt8]) -> [UInt8] {
            let place = little(x / 2, 3) + little(y / 2, 3) + little(44, 3) + little(30, 3) + little(100, 3) + [0]
            let chunks =
                chunk("VP8X", [2, 0, 0, 0] + little(59, 3) + little(39, 3)) + chunk("ANIM", little(0, 6))
                + chunk("ANMF", place + frame)
            return Array("RIFF".utf8) + little(chunks.count + 4, 4) + Array("WEBP".utf8) + chunks
        }
        var expected = Image(width: 60, height: 40, colour: (255, 255, 255))
        expected.paste(try Image(decoding: still), x: 6, y: 8)
        #expect(try Image(decoding: animation(x: 6, y: 8, Array(still[12...]))) == expected)
        // A frame that sticks out, one that is none, and none at all.
        for bytes in [
            animation(x: 20, y: 8, Array(still[12...])), animation(x: 0, y: 0, animation(x: 0, y: 0, [])),
            animation(x: 0, y: 0, chunk("VP8 ", [1, 2, 3])),
        ] {
            let failure = #expect(throws: Failure.self) { try Image(decoding: bytes) }
            #expect(failure?.blame == .input)
        }
    }

    /// Rows of a BMP file lie bottom up, blue first, and begin at multiples of four bytes.
    @Test func `BMP of 24 and 32 bits is decoded`() throws {
        func little(_ number: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(number >> (8 * $0) & 0xFF) } }
        func file(height: Int, bits: Int, compression: Int = 0, _ pixels: [UInt8], masks: [Int] = []) -> [UInt8] {
            let start = 54 + 4 * masks.count
            return Array("BM".utf8) + little(start + pixels.count, 4) + little(0, 4) + little(start, 4)
                + little(40, 4) + little(3, 4) + little(height, 4) + little(1, 2) + little(bits, 2)
                + little(compression, 4) + little(0, 20) + masks.flatMap { little($0, 4) } + pixels
        }
        let expected = Image(width: 3, height: 2, pixels: (1...18).map { UInt8($0) })
        let upper: [UInt8] = [3, 2, 1, 6, 5, 4, 9, 8, 7]
        let lower: [UInt8] = [12, 11, 10, 15, 14, 13, 18, 17, 16]
        let plain = file(height: 2, bits: 24, lower + [0, 0, 0] + upper + [0, 0, 0])
        #expect(try Image(decoding: plain) == expected)
        #expect(try Image(decoding: file(height: -2, bits: 24, upper + [0, 0, 0] + lower)) == expected)
        func wide(_ row: [UInt8]) -> [UInt8] { (0..<3).flatMap { row[($0 * 3)..<($0 * 3 + 3)] + [0] } }
        #expect(try Image(decoding: file(height: 2, bits: 32, wide(lower) + wide(upper))) == expected)
        let masks = [0xFF0000, 0xFF00, 0xFF]
        let masked = file(height: 2, bits: 32, compression: 3, wide(lower) + wide(upper), masks: masks)
        #expect(try Image(decoding: masked) == expected)
        #expect(try Image.info(of: plain).format == .bmp)
        for bytes in [
            Array(plain.prefix(plain.count - 4)), Array(plain.prefix(30)), file(height: 0, bits: 24, []),
            file(height: 2, bits: 8, lower + upper), file(height: 2, bits: 24, compression: 1, lower + upper),
            file(height: 1 << 30, bits: 24, lower),
            file(height: 2, bits: 32, compression: 3, wide(lower) + wide(upper), masks: masks.reversed()),
        ] {
            let failure = #expect(throws: Failure.self) { try Image(decoding: bytes, name: "a.bmp") }
            #expect(failure?.blame == .input && failure?.place?.file == "a.bmp")
        }
    }

    @Test func `what decoding takes is told from headers`() throws {
        // RGB, RGBA laid over white, and a JPEG at an eighth.
        #expect(try Image.info(of: Golden.bytes("colour.jpg")).decodedBytes() == 45 * 31 * 3)
        #expect(try Image.info(of: Golden.bytes("rgb.png")).decodedBytes() == 45 * 31 * 4)
        #expect(try Image.info(of: Golden.bytes("colour.jpg")).decodedBytes(covering: (2, 1)) == 6 * 4 * 3)
        #expect(try Image.info(of: Golden.bytes("rgb.png")).decodedBytes(covering: (2, 1)) == 45 * 31 * 4)
    }

    @Test(arguments: ["colour.jpg", "rgb.png", "lossy.webp"])
    func `more pixels than the limit are refused`(name: String) throws {
        let bytes = try Golden.bytes(name)
        #expect(try Image(decoding: bytes, pixelLimit: 45 * 31).width == 45)
        let failure = #expect(throws: Failure.self) { try Image(decoding: bytes, pixelLimit: 45 * 31 - 1) }
        #expect(failure?.got == "45 x 31 pixels, more than the limit of 1394")
    }

    /// A file of a few hundred bytes that declares 4 gigapixels must cost no memory.
    @Test func `a huge declared size is refused before memory is taken`() throws {
        var png = try Golden.bytes("rgb.png")
        png.replaceSubrange(16..<24, with: [0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF])
        let header = Array(png[12..<29])
        png.replaceSubrange(29..<33, with: crc32(header))
        let failure = #expect(throws: Failure.self) { try Image(decoding: png) }
        #expect(failure?.got?.hasPrefix("65535 x 65535 pixels") == true)

        // Within the limit of pixels, and still more than so few bytes can stand for.
        png.replaceSubrange(16..<24, with: [0, 0, 0x20, 0, 0, 0, 0x20, 0])
        png.replaceSubrange(29..<33, with: crc32(Array(png[12..<29])))
        let unlikely = #expect(throws: Failure.self) { try Image(decoding: png) }
        #expect(unlikely?.got?.hasPrefix("8192 x 8192 pixels in \(png.count) bytes") == true)

        var jpeg = try Golden.bytes("colour.jpg")
        let frame = try #require((0..<jpeg.count - 9).first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
        jpeg.replaceSubrange((frame + 5)..<(frame + 9), with: [0xFF, 0xDC, 0xFF, 0xDC])
        let other = #expect(throws: Failure.self) { try Image(decoding: jpeg) }
        #expect(other?.got?.hasPrefix("65500 x 65500 pixels") == true)
    }

    @Test(arguments: ["colour.jpg", "progressive.jpg", "rgba.png", "interlaced.png", "lossy.webp", "alpha.webp"])
    func `an image that is cut off is refused wherever the cut is`(name: String) throws {
        let bytes = try Golden.bytes(name)
        // The last bytes of a file hold no pixels: JPEG's end marker, PNG's end chunk and checksum, WebP's padding.
        for length in stride(from: 0, to: bytes.count - 24, by: 7) {
            #expect(throws: Failure.self) { try Image(decoding: Array(bytes.prefix(length))) }
        }
    }

    /// libjpeg alone paints the rest grey, with a warning.
    @Test func `a JPEG whose data ends before its image does is refused`() throws {
        let bytes = try Golden.bytes("colour.jpg")
        let failure = #expect(throws: Failure.self) {
            try Image(decoding: Array(bytes.prefix(bytes.count * 3 / 4)) + [0xFF, 0xD9])
        }
        #expect(failure?.got?.contains("Corrupt JPEG data") == true)
    }

    @Test(arguments: [
        "colour.jpg", "progressive.jpg", "cmyk.jpg", "exif-6.jpg", "palette-alpha.png", "interlaced.png", "grey-16.png",
        "lossy.webp", "alpha.webp", "exif.png", "exif.webp",
    ])
    func `a damaged image gives an image or a failure`(name: String) throws {
        let bytes = try Golden.bytes(name)
        var damage = Damage(seed: 1)
        var failures = 0
        for round in 0..<300 {
            let damaged = damage.damaged(bytes)
            do {
                let image =
                    round % 2 == 0
                    ? try Image(decoding: damaged, pixelLimit: 1 << 20)
                    : try Image(decoding: damaged, covering: (9, 6), pixelLimit: 1 << 20)
                #expect(image.pixels.count == image.width * image.height * 3)
            } catch let failure as Failure {
                failures += 1
                #expect(failure.blame == .input && failure.place?.file == "image")
            }
        }
        #expect(failures > 50)
    }

    @Test func `a missing file is a failure that names it`() {
        let failure = #expect(throws: Failure.self) { try Image(contentsOf: "/no/such/image.jpg") }
        #expect(failure?.place?.file == "/no/such/image.jpg")
    }
}

/// The checksum of a PNG chunk, most significant byte first.
private func crc32(_ bytes: [UInt8]) -> [UInt8] {
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        sum ^= UInt32(byte)
        for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: ~sum >> $0) }
}
