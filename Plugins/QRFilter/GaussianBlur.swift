import Torch

extension Tensor {
    /// A Gaussian blur of [B, 1, H, W] as torchvision's `gaussian_blur`: the bell is cut at `width` points and the
    /// picture mirrored at its borders, over and over where it is smaller than the bell.
    /// - Parameters:
    ///   - width: points of the bell on each side, odd.
    ///   - sigma: its deviation in pixels.
    func blurred(width: Int, sigma: Double) throws -> Tensor {
        let half = Double(width - 1) / 2
        let bell = try ((Tensor.spaced(from: -half, to: half, count: width) / sigma).squared() * -0.5).exp()
        let weights = try (bell / bell.sum()).reshaped([width, 1])
        let kernel = try weights.matmul(weights.transposed(0, 1)).reshaped([1, 1, width, width])
        return try mirrored(2, by: width / 2).mirrored(3, by: width / 2).convolved(kernel)
    }

    /// A dimension with `count` elements more at both ends, mirrored at the outermost, which is not repeated.
    private func mirrored(_ dimension: Int, by count: Int) throws -> Tensor {
        let size = size(dimension)
        let period = max(1, 2 * (size - 1))
        let indices = (-count..<size + count).map { position in
            let turn = ((position % period) + period) % period
            return min(turn, period - turn) % size
        }
        return try gathered(dimension, Tensor(indices, shape: [indices.count]))
    }
}
