import Failures
import Files
import Glibc
import Images
import Testing

@Suite struct Encoding {
    @Test func `PNG keeps every pixel`() throws {
        let picture = try Golden.picture("scene.ppm")
        #expect(try Picture(decoding: picture.png()) == picture)
    }

    @Test func `JPEG loses what Pillow's JPEG loses at the same quality`() throws {
        let back = try Picture(decoding: Golden.picture("scene.ppm").jpeg(quality: 75))
        #expect(try meanDifference(back, Golden.picture("scene-quality-75.ppm")) < 0.1)
    }

    @Test func `a higher quality is nearer to the picture`() throws {
        let picture = try Golden.picture("scene.ppm")
        let (coarse, fine) = try (picture.jpeg(quality: 20), picture.jpeg(quality: 95))
        #expect(coarse.count < fine.count)
        #expect(
            try meanDifference(Picture(decoding: fine), picture) < meanDifference(Picture(decoding: coarse), picture))
    }

    @Test(arguments: [0, 101, -5])
    func `a quality out of range is refused`(quality: Int) throws {
        let picture = try Golden.picture("scene.ppm")
        #expect(throws: Failure.self) { try picture.jpeg(quality: quality) }
    }

    @Test func `a side too long for JPEG is a failure, not a crash`() throws {
        let picture = Picture(width: 65501, height: 1, colour: (1, 2, 3))
        #expect(throws: Failure.self) { try picture.jpeg() }
        #expect(try Picture(decoding: picture.png()) == picture)
    }

    @Test func `a picture is written in the format of its name`() throws {
        let picture = try Golden.picture("scene.ppm")
        let folder = "/tmp/cascade-adapt-encoding-\(getpid())"
        try Folder.make(folder)
        defer { for name in ["a.png", "b.JPG", ""] { remove("\(folder)/\(name)") } }
        try picture.write(to: "\(folder)/a.png")
        try picture.write(to: "\(folder)/b.JPG")
        #expect(try Picture(contentsOf: "\(folder)/a.png") == picture)
        #expect(PictureFormat(magic: try readFile("\(folder)/b.JPG")) == .jpeg)
        #expect(throws: Failure.self) { try picture.write(to: "\(folder)/c.gif") }
        #expect(throws: Failure.self) { try picture.write(to: "\(folder)/none/a.png") }
        #expect(try Folder.names(folder) == ["a.png", "b.JPG"])
    }
}
