import Glibc
import Torch

/// A Gaussian blur whose bell is cut at a number of points, along columns and then along rows.
public struct GaussianBlur: Sendable {
    /// What lies beyond the border of an image.
    public enum Border: Sendable {
        /// The image mirrored at its outermost pixels, which are not repeated; over and over where it is smaller than the
        /// bell. As torchvision's `gaussian_blur`.
        case mirrored
        /// Black, as zeros are.
        case zeros
    }

    /// Points of the bell on each side, odd.
    private let width: Int
    private let weights: [Float]

    /// - Parameters:
    ///   - width: points of the bell on each side, odd.
    ///   - sigma: its deviation in pixels; nil is torchvision's for this width.
    public init(width: Int, sigma: Double? = nil) {
        self.width = width
        let sigma = sigma ?? 0.3 * (Double(width - 1) * 0.5 - 1) + 0.8
        let heights = (0..<width).map { index -> Double in
            let distance = Double(index - width / 2) / sigma
            return exp(-0.5 * distance * distance)
        }
        let sum = heights.reduce(0, +)
        weights = heights.map { Float($0 / sum) }
    }

    /// Images [B, 1, H, W], blurred.
    public func callAsFunction(_ images: Tensor, border: Border = .mirrored) throws -> Tensor {
        let columns = try extended(images, 2, border).convolved(Tensor(weights, shape: [1, 1, width, 1]))
        return try extended(columns, 3, border).convolved(Tensor(weights, shape: [1, 1, 1, width]))
    }

    /// A dimension with half a bell more at both ends.
    private func extended(_ images: Tensor, _ dimension: Int, _ border: Border) throws -> Tensor {
        let (reach, size) = (width / 2, images.size(dimension))
        switch border {
        case .zeros: return try images.padded(dimension == 3 ? [reach, reach] : [0, 0, reach, reach])
        case .mirrored:
            let period = max(1, 2 * (size - 1))
            let indices = (-reach..<size + reach).map { place in
                let turn = ((place % period) + period) % period
                return min(turn, period - turn) % size
            }
            return try images.gathered(dimension, Tensor(indices))
        }
    }
}
