import Failures
import Images
import Testing

@Suite struct Headers {
    @Test(arguments: [
        ("colour.jpg", ImageFormat.jpeg, 8), ("grey.jpg", .jpeg, 8), ("one-bit.png", .png, 1), ("rgb.png", .png, 8),
        ("grey-16.png", .png, 16), ("lossy.webp", .webp, 8),
    ])
    func `tell format, size and depth`(name: String, format: ImageFormat, bitDepth: Int) throws {
        let info = try Image.info(of: Golden.bytes(name))
        #expect(info.format == format && info.width == 45 && info.height == 31 && info.bitDepth == bitDepth)
        #expect(!info.hasColourProfile)
    }

    @Test(arguments: 1...8)
    func `tell the size upright`(orientation: Int) throws {
        let info = try Image.info(of: Golden.bytes("exif-\(orientation).jpg"))
        #expect((info.width, info.height) == (orientation < 5 ? (13, 8) : (8, 13)))
    }

    @Test(arguments: ["exif.png", "exif.webp"])
    func `tell the size upright in every format`(name: String) throws {
        let info = try Image.info(of: Golden.bytes(name))
        #expect((info.width, info.height) == (15, 21))
    }

    @Test(arguments: ["422.jpg", "profile.png", "lossless.webp"])
    func `tell a colour profile`(name: String) throws {
        #expect(try Image.info(of: Golden.bytes(name)).hasColourProfile)
    }

    /// Lengths and offsets in a file are anybody's.
    @Test func `that lie about lengths are read no further than the file`() throws {
        var webp = try Golden.bytes("exif.webp")
        let exif = try #require(webp.indices.last { webp[$0...].starts(with: "EXIF".utf8) })
        webp.replaceSubrange((exif + 4)..<(exif + 8), with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(try Image.info(of: webp).width == 21)

        var png = try Golden.bytes("exif.png")
        let chunk = try #require(png.indices.first { png[$0...].starts(with: "eXIf".utf8) })
        // The TIFF block's first directory lies 4 gigabytes on.
        png.replaceSubrange((chunk + 8)..<(chunk + 12), with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(try Image.info(of: png).width == 21)

        var jpeg = try Golden.bytes("exif-6.jpg")
        let segment = try #require(jpeg.indices.first { jpeg[$0...].starts(with: "Exif".utf8) })
        // 65535 entries in a directory that has two.
        jpeg.replaceSubrange((segment + 14)..<(segment + 16), with: [0xFF, 0xFF])
        #expect(try Image.info(of: jpeg).width == 8)
    }

    @Test(arguments: ["colour.jpg", "rgb.png", "lossy.webp"])
    func `without an image behind them are refused`(name: String) throws {
        let bytes = try Golden.bytes(name)
        let failure = #expect(throws: Failure.self) { try Image.info(of: Array(bytes.prefix(20)), name: "a/b") }
        #expect(failure?.blame == .input && failure?.place?.file == "a/b")
        #expect(throws: Failure.self) { try Image.info(of: bytes, pixelLimit: 45 * 31 - 1) }
    }
}
