import Glibc
import Torch

/// Gaussian blur of grey pictures as torchvision's `gaussian_blur` with its default deviation makes it, for pictures of
/// any size: where the kernel reaches beyond a reflection, it is reflected again.
enum GaussianBlur {
    /// - Parameters:
    ///   - pictures: [B, 1, H, W].
    ///   - kernel: side of the kernel, odd.
    static func blurred(_ pictures: Tensor, kernel: Int) throws -> Tensor {
        let weights = weights(kernel)
        let columns = try extended(pictures, 2, by: kernel / 2)
            .convolved(Tensor(weights, shape: [1, 1, kernel, 1]))
        return try extended(columns, 3, by: kernel / 2).convolved(Tensor(weights, shape: [1, 1, 1, kernel]))
    }

    private static func weights(_ kernel: Int) -> [Float] {
        let deviation = 0.3 * (Double(kernel - 1) * 0.5 - 1) + 0.8
        let heights = (0..<kernel).map { index -> Double in
            let distance = Double(index - kernel / 2) / deviation
            return exp(-0.5 * distance * distance)
        }
        let sum = heights.reduce(0, +)
        return heights.map { Float($0 / sum) }
    }

    private static func extended(_ pictures: Tensor, _ dimension: Int, by count: Int) throws -> Tensor {
        let size = pictures.size(dimension)
        let indices = (-count..<size + count).map { reflected($0, size: size) }
        return try pictures.gathered(dimension, Tensor(indices))
    }

    /// The index that a place beyond the border mirrors; the border itself is not repeated.
    static func reflected(_ index: Int, size: Int) -> Int {
        guard size > 1 else { return 0 }
        let period = 2 * (size - 1)
        let place = ((index % period) + period) % period
        return min(place, period - place)
    }
}
