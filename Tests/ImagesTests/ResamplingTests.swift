import Images
import Testing

@Suite struct Resampling {
    @Test func `bytes are resized as torchvision resizes them`() throws {
        let source = try Golden.image("resize-source.ppm")
        for (width, height) in try sizes() {
            let resized = source.resized(width: width, height: height)
            let expected = try Golden.image("resized-\(width)x\(height).ppm")
            #expect(try largestDifference(resized, expected) <= 1, "\(width) x \(height)")
            #expect(try meanDifference(resized, expected) < 0.05, "\(width) x \(height)")
        }
    }

    @Test func `windows of 50 sizes are those of torchvision`() throws {
        let source = try Golden.image("many-source.ppm")
        let cases = try #require(try Golden.json("many.json").arrayValue)
        #expect(cases.count == 50)
        var expected = try Golden.bytes("many.rgb")[...]
        var (largest, sum, count) = (0, 0.0, 0)
        for item in cases {
            let numbers = try #require(item.arrayValue).compactMap(\.intValue)
            try #require(numbers.count == 6)
            let (x, y, width, height) = (numbers[2], numbers[3], numbers[4], numbers[5])
            let cut = source.resized(width: numbers[0], height: numbers[1])
                .cropped(x: x, y: y, width: width, height: height)
            let wanted = Image(width: width, height: height, pixels: Array(expected.prefix(width * height * 3)))
            expected = expected.dropFirst(width * height * 3)
            largest = try max(largest, largestDifference(cut, wanted))
            sum += try meanDifference(cut, wanted) * Double(cut.pixels.count)
            count += cut.pixels.count
        }
        #expect(expected.isEmpty && largest <= 1 && sum / Double(count) < 0.01)
    }

    @Test func `floats are resized as torchvision resizes them`() throws {
        let source = try Golden.image("resize-source.ppm").planar()
        for (width, height) in try sizes() {
            let resized = source.resized(width: width, height: height)
            let expected = try Golden.floats("resized-\(width)x\(height).f32")
            try #require(resized.values.count == expected.count)
            let difference = zip(resized.values, expected).map { abs($0 - $1) }.max() ?? 1
            #expect(difference < 2e-6, "\(width) x \(height)")
        }
    }

    @Test func `the same size is the same image`() throws {
        let source = try Golden.image("resize-source.ppm")
        #expect(source.resized(width: source.width, height: source.height) == source)
    }

    @Test func `a fitted image is the resized one, cut`() throws {
        let source = try Golden.image("resize-source.ppm")
        for ratio in [0.5, 1, 1.9] {
            let fit = try AspectBuckets(size: 96, ratios: [ratio], step: 32).fit(
                width: source.width, height: source.height)
            let cut = source.resized(width: fit.resizedWidth, height: fit.resizedHeight)
                .cropped(x: fit.cropX, y: fit.cropY, width: fit.bucket.width, height: fit.bucket.height)
            #expect(source.fitted(fit) == cut)
        }
    }

    /// Covering a square with a line of pixels asks for an image of 500 gigapixels, of which little is kept.
    @Test func `a sliver of an image costs no more than its bucket`() throws {
        let sliver = Image(width: 1, height: 60000, colour: (10, 20, 30))
        let fit = try AspectBuckets(size: 512, step: 32).fit(width: 1, height: 60000)
        #expect(fit.resizedHeight == 512 * 60000)
        #expect(sliver.fitted(fit) == Image(width: 512, height: 512, colour: (10, 20, 30)))
    }

    @Test func `planes and bytes are the same image`() throws {
        let source = try Golden.image("scene.ppm")
        let planar = source.planar()
        #expect(planar.values[0] == Float(source.pixels[0]) / 255)
        #expect(planar.values[source.width * source.height] == Float(source.pixels[1]) / 255)
        #expect(planar.image() == source)
    }

    @Test func `values outside of 0 to 1 are clamped`() {
        let values: [Float] = [-1, .infinity, .nan, 0.5, 1, -.infinity]
        let image = PlanarImage(width: 1, height: 2, values: values).image()
        // Two pixels, top down; their red, green and blue stand two apart among the values.
        #expect(image.pixels == [0, 0, 255, 255, 128, 0])
    }

    private func sizes() throws -> [(Int, Int)] {
        let sizes = try #require(try Golden.json("resize.json").arrayValue)
        #expect(sizes.count == 7)
        return sizes.compactMap { size in
            size[0]?.intValue.flatMap { width in size[1]?.intValue.map { (width, $0) } }
        }
    }
}
