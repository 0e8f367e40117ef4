import Torch

/// One side of a picture reduced to some of its pixels and restored by repeating them.
///
/// Which pixel comes from which is reckoned as torch's `interpolate` with `scale_factor` and `nearest` does, in float32.
struct Coarsening {
    /// Pixels of the side.
    let size: Int
    let factor: Double
    /// Pixels that are left, at least one.
    let left: Int
    /// Pixels that those left make when they are restored.
    let whole: Int

    init(of size: Int, by factor: Double) {
        self.size = size
        self.factor = factor
        left = max(1, Int(Double(size) * factor))
        whole = min(size, Int(Double(left) * (1 / factor)))
    }

    /// Leaves some of the pixels of a dimension.
    func reduced(_ pictures: Tensor, _ dimension: Int) throws -> Tensor {
        try pictures.repeatedByNearest(dimension, count: left, scale: factor)
    }

    /// Brings a reduced dimension back to the picture's size; the last pixel left reaches to the border.
    func restored(_ pictures: Tensor, _ dimension: Int) throws -> Tensor {
        try pictures.repeatedByNearest(dimension, count: size, scale: 1 / factor)
    }
}

extension Tensor {
    /// `count` elements of a dimension that is scaled by `scale`, each the nearest one's before it.
    func repeatedByNearest(_ dimension: Int, count: Int, scale: Double) throws -> Tensor {
        let step = Float(1 / scale)
        let last = size(dimension) - 1
        let indices = (0..<count).map { min(Int(Float($0) * step), last) }
        return try gathered(dimension, Tensor(indices, shape: [count]))
    }
}
