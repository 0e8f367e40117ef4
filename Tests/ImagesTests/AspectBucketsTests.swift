import Failures
import Images
import JSON
import Testing

@Suite struct AspectBucketing {
    @Test func `buckets and fits follow the formula`() throws {
        let cases = try #require(try Golden.json("buckets.json").arrayValue)
        #expect(cases.count == 4)
        for item in cases {
            let size = try #require(item["size"]?.intValue)
            let texts = try #require(item["ratios"]?.arrayValue).compactMap(\.stringValue)
            let buckets = try AspectBuckets(size: size, ratios: texts.map(AspectBuckets.ratio(parsing:)), step: 32)
            let expected = try Set(#require(item["buckets"]?.arrayValue).map(pair))
            #expect(Set(buckets.buckets.map { [$0.width, $0.height] }) == expected, "\(size)")
            for wanted in try #require(item["fits"]?.arrayValue) {
                let image = try pair(#require(wanted["picture"]))
                let fit = buckets.fit(width: image[0], height: image[1])
                #expect([fit.bucket.width, fit.bucket.height] == (try pair(#require(wanted["bucket"]))), "\(image)")
                #expect([fit.resizedWidth, fit.resizedHeight] == (try pair(#require(wanted["resized"]))), "\(image)")
                #expect([fit.cropX, fit.cropY] == (try pair(#require(wanted["crop"]))), "\(image)")
            }
        }
    }

    @Test func `the sizes are the reference's`() throws {
        let cases = try #require(try Golden.json("bucket-sizes.json").arrayValue)
        #expect(cases.compactMap { $0["size"]?.intValue } == [384, 768, 1024])
        for item in cases {
            let texts = try #require(item["ratios"]?.arrayValue).compactMap(\.stringValue)
            let buckets = try AspectBuckets(
                size: #require(item["size"]?.intValue), ratios: texts.map(AspectBuckets.ratio(parsing:)), step: 32)
            // As many, too: where two ratios come to one size, there are two buckets of it.
            let sizes = try #require(item["sizes"]?.arrayValue).map(pair)
            #expect(
                buckets.buckets.map { [$0.height, $0.width] }.sorted(by: isBefore) == sizes.sorted(by: isBefore))
        }
    }

    @Test func `portrait and landscape are treated alike`() throws {
        let buckets = try AspectBuckets(size: 768, ratios: [1, 0.5, 0.75, 9 / 16], step: 32)
        for (width, height) in [(1000, 700), (1231, 1000), (900, 500), (3000, 17)] {
            let wide = buckets.fit(width: width, height: height)
            let tall = buckets.fit(width: height, height: width)
            #expect(wide.bucket.width == tall.bucket.height && wide.bucket.height == tall.bucket.width)
            #expect(wide.resizedWidth == tall.resizedHeight && wide.cropX == tall.cropY)
        }
    }

    @Test func `an image is not enlarged further than the bucket asks`() throws {
        let buckets = try AspectBuckets(size: 768, ratios: [0.5, 1, 2 / 3], step: 32)
        for (width, height) in [(640, 480), (480, 640), (1000, 100), (31, 900), (768, 768), (7, 7)] {
            let fit = buckets.fit(width: width, height: height)
            #expect(fit.resizedWidth >= fit.bucket.width && fit.resizedHeight >= fit.bucket.height)
            let (short, bucketShort, bucketLong) =
                width >= height
                ? (fit.resizedHeight, fit.bucket.height, fit.bucket.width)
                : (fit.resizedWidth, fit.bucket.width, fit.bucket.height)
            // One pixel less on the short side would leave the bucket uncovered.
            let less = (short - 1) * max(width, height) / min(width, height)
            #expect(short - 1 < bucketShort || less < bucketLong)
        }
    }

    @Test(arguments: ["9/16", " 9 / 16 ", "0.5625", "18/32"])
    func `a ratio is a number or a fraction`(text: String) throws {
        #expect(try AspectBuckets.ratio(parsing: text) == 0.5625)
    }

    @Test(arguments: ["", "/", "9/", "1/0", "0", "-1", "a/b", "9 9/16", "1/2/3", "nan", "inf", "1e999", "0/0"])
    func `anything else is refused`(text: String) {
        #expect(throws: Failure.self) { try AspectBuckets.ratio(parsing: text) }
    }

    @Test func `sizes and ratios that make no bucket are refused`() {
        for size in [0, -1, 31, 8193, .max] {
            #expect(throws: Failure.self) { try AspectBuckets(size: size, step: 32) }
        }
        for ratio in [0, -1, .nan, .infinity, 1e300, 1e-300, Double.leastNonzeroMagnitude, 1000] {
            #expect(throws: Failure.self) { try AspectBuckets(size: 768, ratios: [ratio], step: 32) }
        }
        #expect(throws: Failure.self) { try AspectBuckets(size: 768, ratios: [], step: 32) }
        #expect(throws: Failure.self) { try AspectBuckets(size: 768, step: 0) }
    }

    private func isBefore(_ one: [Int], _ other: [Int]) -> Bool { one.lexicographicallyPrecedes(other) }

    private func pair(_ json: JSON) throws -> [Int] {
        let numbers = try #require(json.arrayValue).compactMap(\.intValue)
        try #require(numbers.count == 2)
        return numbers
    }
}
