import Images
import Torch

/// A mask that the user gives as a picture: white is filled in, black is kept.
struct GivenMask: Sendable {
    private let width: Int
    private let height: Int
    private let isFilled: [Float]

    init(_ path: String) throws {
        let picture = try Picture(contentsOf: path)
        (width, height) = (picture.width, picture.height)
        isFilled = stride(from: 0, to: picture.pixels.count, by: 3).map { start in
            picture.pixels[start..<start + 3].reduce(0) { $0 + Int($1) } > 3 * 127 ? 1 : 0
        }
    }

    /// The mask for pictures of a size, by the nearest pixel; [1, 1, height, width] of 0 and 1.
    func sized(height: Int, width: Int) throws -> Tensor {
        try Tensor(isFilled, shape: [1, 1, self.height, self.width]).resizedToNearest(height: height, width: width)
    }
}
