import Torch

/// Images reduced to some of their pixels and restored by repeating them.
///
/// Which pixel comes from which is reckoned as torch's `interpolate` with `scale_factor` and `nearest` does.
struct Coarsening {
    /// Part of each side's pixels that is left.
    let factor: Double
    /// Pixels of the image's sides.
    private let height: Int
    private let width: Int

    /// - Parameter images: [B, C, H, W].
    init(of images: Tensor, by factor: Double) {
        self.factor = factor
        (height, width) = (images.size(2), images.size(3))
    }

    /// What is left of a side, at least one pixel.
    private func left(of side: Int) -> Int { max(1, Int(Double(side) * factor)) }

    /// What those left of a side make when they are restored.
    private func whole(of side: Int) -> Int { min(side, Int(Double(left(of: side)) * (1 / factor))) }

    /// Leaves some of the pixels of images [B, C, H, W].
    func reduced(_ images: Tensor) throws -> Tensor {
        try images.interpolatedToNearest(height: left(of: height), width: left(of: width), scale: factor)
    }

    /// Brings reduced images back to their size; the last pixel left reaches to the border.
    func restored(_ coarse: Tensor) throws -> Tensor {
        try coarse.interpolatedToNearest(height: height, width: width, scale: 1 / factor)
    }

    /// The part of restored images that the factor divides.
    func whole(_ restored: Tensor) throws -> Tensor {
        try restored.sliced(2, 0..<whole(of: height)).sliced(3, 0..<whole(of: width))
    }
}
