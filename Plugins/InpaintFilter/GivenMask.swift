import Images
import Torch

/// A mask that the user gives as an image for all images: white or opaque is filled in, black or transparent is kept.
struct GivenMask: Sendable {
    private let mask: Mask

    init(_ path: String) throws { mask = try Mask(contentsOf: path) }

    /// What is wrong with a mask that tells no part from another; nil where it does.
    var complaint: String? { mask.complaint }

    /// The mask for images of a size, by the nearest pixel; [1, 1, height, width] of 0 and 1.
    func sized(height: Int, width: Int) throws -> Tensor {
        try Tensor(mask.values.map { $0 > 127 ? 1 : 0 as Float }, shape: [1, 1, mask.height, mask.width])
            .resizedToNearest(height: height, width: width)
    }
}
