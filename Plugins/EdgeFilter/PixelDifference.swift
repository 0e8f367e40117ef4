import Torch

/// How a convolution of PiDiNet looks at the pixels of its 3x3 window (Su et al. 2021, section 3.1).
///
/// A convolution of differences of pixels is one of pixels with another kernel, so each kind is a matrix from the nine
/// stored weights to the kernel's elements, all in reading order.
enum PixelDifference: Sendable {
    /// None: an ordinary convolution.
    case vanilla
    /// Each pixel less the one in the centre.
    case central
    /// Each pixel of the border less the next one on the way round it, clockwise.
    case angular
    /// Each pixel of the 5x5 window's border less the one half way to the centre, in eight directions.
    case radial

    /// Side of the kernel.
    var side: Int { self == .radial ? 5 : 3 }

    /// The kernel that does the same on pixels.
    /// - Parameter weight: [out, in, 3, 3], as the file stores it.
    /// - Returns: [out, in, side, side].
    func kernel(of weight: Tensor) throws -> Tensor {
        if self == .vanilla { return weight }
        let (outputs, inputs) = (weight.size(0), weight.size(1))
        let matrix = try Tensor(rows.flatMap(\.self), shape: [side * side, 9])
        return try weight.reshaped([outputs * inputs, 9]).linear(matrix)
            .reshaped([outputs, inputs, side, side]).laidOutByPixels()
    }

    /// For each element of the kernel, how much of each stored weight it takes.
    private var rows: [[Float]] {
        var rows = [[Float]](repeating: [Float](repeating: 0, count: 9), count: side * side)
        let centre = 4
        switch self {
        case .vanilla, .central:
            for position in 0..<9 { rows[position][position] += 1 }
            if self == .central { for weight in 0..<9 { rows[centre][weight] -= 1 } }
        case .angular:
            let round = [0, 1, 2, 5, 8, 7, 6, 3]
            for (position, next) in zip(round, round.dropFirst() + round.prefix(1)) {
                rows[position][position] += 1
                rows[next][position] -= 1
            }
        case .radial:
            // The first stored weight is not used: there are nine, and eight directions.
            let directions = (0..<9).filter { $0 != centre }.map { (y: $0 / 3 - 1, x: $0 % 3 - 1) }
            for (index, direction) in directions.enumerated() {
                for (reach, sign) in [(2, Float(1)), (1, -1)] {
                    rows[(2 + reach * direction.y) * 5 + 2 + reach * direction.x][index + 1] = sign
                }
            }
        }
        return rows
    }
}
