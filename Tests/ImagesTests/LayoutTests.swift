import Images
import Testing

@Suite struct Layout {
    @Test func `a crop is the rectangle`() throws {
        let source = try Golden.image("scene.ppm")
        let crop = source.cropped(x: 5, y: 7, width: 11, height: 3)
        #expect(crop.width == 11 && crop.height == 3)
        for (x, y) in [(0, 0), (10, 2), (4, 1)] {
            let (inner, outer) = ((y * 11 + x) * 3, ((y + 7) * source.width + x + 5) * 3)
            #expect(crop.pixels[inner..<inner + 3] == source.pixels[outer..<outer + 3])
        }
    }

    /// Half of an odd rest rounds to even: 1 / 2 to 0, 3 / 2 to 2.
    @Test func `the middle is where torchvision puts it`() throws {
        let source = try Golden.image("scene.ppm")
        #expect(source.centreCropped(width: 44, height: 28) == source.cropped(x: 0, y: 2, width: 44, height: 28))
        #expect(source.centreCropped(width: 45, height: 31) == source)
    }
}
