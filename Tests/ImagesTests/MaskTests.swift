import Failures
import Foundation
import Testing

@testable import Images

@Suite struct MaskTests {
    /// RGBA, 4 x 2: alpha 255, 255, 0, 0, then 0, 128, 127, 255; the colours are grey, the darker the more opaque.
    private static let seeThrough = """
        iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAYAAAB/qH1jAAAAHUlEQVR42mNgYGD4D8JAACLALIb6+voGIKgHSQAACyEP8WIeyNUAAAAASUVO\
        RK5CYII=
        """
    /// RGBA, 4 x 2, all of it opaque: white, black, white, black, then black, black, white, white.
    private static let opaque = """
        iVBORw0KGgoAAAANSUhEUgAAAAQAAAACCAYAAAB/qH1jAAAAFklEQVR42mP4DwQMDAz/YTQDlPgPAwBA7xPtsqSlBgAAAABJRU5ErkJggg==
        """

    private func mask(_ text: String) throws -> Mask { try Mask(decoding: Array(#require(Data(base64Encoded: text)))) }

    @Test func `alpha is the mask where anything is transparent, else white is`() throws {
        let seeThrough = try mask(Self.seeThrough)
        #expect(seeThrough == Mask(width: 4, height: 2, values: [255, 255, 0, 0, 0, 128, 127, 255]))
        #expect(seeThrough.share == 0.5 && seeThrough.complaint == nil)
        let opaque = try mask(Self.opaque)
        #expect(opaque == Mask(width: 4, height: 2, values: [255, 0, 255, 0, 0, 0, 255, 255]))
        let plain = try Image(width: 4, height: 2, pixels: opaque.values.flatMap { [$0, $0, $0] }).png()
        #expect(try Mask(decoding: plain) == opaque)
        #expect(throws: Failure.self) { try Mask(decoding: [1, 2, 3]) }
    }

    @Test func `a mask that tells no part from another is told`() {
        #expect(Mask(width: 2, height: 1, values: [127, 0]).complaint?.contains("nothing") == true)
        #expect(Mask(width: 2, height: 1, values: [128, 255]).complaint?.contains("all") == true)
    }

    /// An image in black and white is its own mask: wherever the image, resized and cut, is still black or white, the
    /// mask says the same.
    @Test(arguments: CropMode.allCases, [(90, 60), (300, 200), (33, 70)])
    func `a mask is resized and cut as its image is`(crop: CropMode, size: (width: Int, height: Int)) throws {
        let values = (0..<size.width * size.height).map { index -> UInt8 in
            let (x, y) = (index % size.width, index / size.width)
            let isIn = x < size.width * 2 / 3 && y > size.height / 4
            return isIn ? 255 : 0
        }
        let image = Image(width: size.width, height: size.height, pixels: values.flatMap { [$0, $0, $0] })
        let whole = Mask(width: size.width, height: size.height, values: values)
        let buckets = try AspectBuckets(size: 64, ratios: [1, 0.5], step: 32)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            let fit = buckets.fit(
                width: size.width, height: size.height, .init(crop: crop, randomBucketRatio: 0.5), using: &generator
            ).settled(by: image)
            let (cut, mask) = (image.fitted(fit), whole.fitted(fit))
            #expect(mask.width == cut.width && mask.height == cut.height)
            let seen = stride(from: 0, to: cut.pixels.count, by: 3).map { cut.pixels[$0] }
            let wrong = seen.indices.filter { index in
                let isSure = seen[index] == 0 || seen[index] == 255
                return isSure && seen[index] != mask.values[index]
            }
            #expect(wrong.isEmpty)
            #expect(Set(mask.values).isSubset(of: [0, 255]))
        }
    }

    @Test func `a mask of another size than its image is fitted by its share`() throws {
        let fit = try AspectBuckets(size: 64, ratios: [1], step: 32).fit(width: 128, height: 64)
        // Of the image the middle half stays: of eight columns the third to the sixth.
        let rows: [[UInt8]] = [[0, 1, 2, 3, 4, 5, 6, 7], [10, 11, 12, 13, 14, 15, 16, 17]]
        let fitted = Mask(width: 8, height: 2, values: rows[0] + rows[1]).fitted(fit)
        let expected: [UInt8] = [2, 3, 4, 5].flatMap { [UInt8](repeating: $0, count: 16) }
        #expect(Array(fitted.values.prefix(64)) == expected)
        #expect(fitted.values[63 * 64] == 12)
    }
}
