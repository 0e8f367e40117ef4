import Torch

/// Dilation of grey pictures by a disc, as the reference's filters make it.
enum Dilation {
    /// Sides that a disc can have: below 3 no element lies near enough to the centre.
    static let sides = 3...31

    /// Which elements of a square of `side` are in the disc: those whose squared distances from the centre, the
    /// square being one wide, add up to less than 0.3. Pairs (y, x) of offsets from the element at `side / 2`.
    static func disc(_ side: Int) -> [(y: Int, x: Int)] {
        func squared(_ index: Int) -> Float {
            let distance = Float(index) / Float(side - 1) - 0.5
            return distance * distance
        }
        return (0..<side * side).map { ($0 / side, $0 % side) }
            .filter { squared($0.0) + squared($0.1) < 0.3 }
            .map { ($0.0 - side / 2, $0.1 - side / 2) }
    }

    /// The largest element under the disc around each; beyond the border there is nothing.
    /// - Parameter pictures: [B, 1, H, W], at least 0.
    static func dilated(_ pictures: Tensor, side: Int) throws -> Tensor {
        let (height, width) = (pictures.size(2), pictures.size(3))
        let around = try pictures.padded([side, side, side, side])
        return try disc(side).reduce(pictures) { largest, offset in
            let rows = side + offset.y..<side + offset.y + height
            let columns = side + offset.x..<side + offset.x + width
            return try largest.maximum(around.sliced(2, rows).sliced(3, columns))
        }
    }
}
