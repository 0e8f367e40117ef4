import AdapterKit
import TestSupport
import Testing
import Torch

/// The resizing that filters share beside libtorch's own.
@Suite struct ImageResizingTests {
    /// Old and new sides: larger, smaller, the same, a single pixel on either side, not square.
    static let sides = [
        (from: (7, 5), to: (16, 31)), (from: (40, 33), to: (9, 12)), (from: (8, 8), to: (8, 8)),
        (from: (8, 5), to: (8, 12)),
        (from: (1, 1), to: (5, 3)), (from: (1, 6), to: (4, 1)), (from: (23, 2), to: (3, 50)),
        (from: (9, 9), to: (1, 1)),
        (from: (61, 97), to: (224, 224)), (from: (224, 224), to: (301, 450)),
    ]

    @Test("bilinear resizing is libtorch's up to rounding", arguments: sides)
    func bilinear(from: (Int, Int), to: (Int, Int)) throws {
        let images = try Generator(seed: 3).uniform([2, 3, from.0, from.1])
        let ours = try images.interpolated(height: to.0, width: to.1)
        let theirs = try images.resized(height: to.0, width: to.1, alignCorners: false)
        #expect(ours.shape == [2, 3, to.0, to.1])
        #expect(try largestDifference(ours, theirs) <= 2e-6)
    }

    @Test("nearest resizing is libtorch's", arguments: sides, [0.25, 1 / 0.3, 0.77, 4, 1.5])
    func nearest(sides: (from: (Int, Int), to: (Int, Int)), scale: Double) throws {
        let images = try Generator(seed: 4).uniform([2, 3, sides.from.0, sides.from.1])
        let ours = try images.interpolatedToNearest(height: sides.to.0, width: sides.to.1, scale: scale)
        let theirs = try images.resizedToNearest(height: sides.to.0, width: sides.to.1, scale: scale)
        #expect(try ours.values(as: Float.self) == theirs.values(as: Float.self))
    }

    @Test("an image that is no plain memory is resized as its copy")
    func strided() throws {
        let images = try Generator(seed: 5).uniform([1, 3, 20, 30])
        let turned = try images.permuted([0, 1, 3, 2])
        let ours = try turned.interpolated(height: 11, width: 50)
        let copied = try turned.contiguous().interpolated(height: 11, width: 50)
        #expect(try ours.values(as: Float.self) == copied.values(as: Float.self))
    }
}
