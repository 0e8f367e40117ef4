import Failures
import Files
import Glibc
import Images
import Testing

@Suite struct Encoding {
    @Test func `PNG keeps every pixel`() throws {
        let image = try Golden.image("scene.ppm")
        #expect(try Image(decoding: image.png()) == image)
    }

    @Test func `JPEG loses what Pillow's JPEG loses at the same quality`() throws {
        let back = try Image(decoding: Golden.image("scene.ppm").jpeg(quality: 75))
        #expect(try meanDifference(back, Golden.image("scene-quality-75.ppm")) < 0.1)
    }

    @Test func `a higher quality is nearer to the image`() throws {
        let image = try Golden.image("scene.ppm")
        let (coarse, fine) = try (image.jpeg(quality: 20), image.jpeg(quality: 95))
        #expect(coarse.count < fine.count)
        #expect(
            try meanDifference(Image(decoding: fine), image) < meanDifference(Image(decoding: coarse), image))
    }

    @Test(arguments: [0, 101, -5])
    func `a quality out of range is refused`(quality: Int) throws {
        let image = try Golden.image("scene.ppm")
        #expect(throws: Failure.self) { try image.jpeg(quality: quality) }
    }

    @Test func `a side too long for JPEG is a failure, not a crash`() throws {
        let image = Image(width: 65501, height: 1, colour: (1, 2, 3))
        #expect(throws: Failure.self) { try image.jpeg() }
        #expect(try Image(decoding: image.png()) == image)
    }

    @Test func `an image is written in the format of its name`() throws {
        let image = try Golden.image("scene.ppm")
        let folder = "/tmp/cascade-adapt-encoding-\(getpid())"
        try Folder.make(folder)
        defer { for name in ["a.png", "b.JPG", ""] { remove("\(folder)/\(name)") } }
        try image.write(to: "\(folder)/a.png")
        try image.write(to: "\(folder)/b.JPG")
        #expect(try Image(contentsOf: "\(folder)/a.png") == image)
        #expect(ImageFormat(magic: try readFile("\(folder)/b.JPG")) == .jpeg)
        #expect(throws: Failure.self) { try image.write(to: "\(folder)/c.gif") }
        #expect(throws: Failure.self) { try image.write(to: "\(folder)/none/a.png") }
        #expect(try Folder.names(folder) == ["a.png", "b.JPG"])
    }
}
