import Torch

/// The grid of an image's latents, which faces are written into, and what a person sees of it.
struct IdentityGrid {
    /// The side of a cell, in pixels: a cell lies over one place of Stage C's latents.
    private let cell: Int
    private let columns: Int
    private let rows: Int
    /// [512, rows, columns]
    private var values: [Float]
    /// Where faces were written, in their order.
    private var marks: [(cells: Cells, number: Int)] = []

    /// Columns and rows of the grid, possibly none.
    struct Cells: Equatable {
        var columns: Range<Int>
        var rows: Range<Int>
    }

    /// Of an image's size; a cell that would reach beyond the image is left out, but for the first.
    /// - Parameter stride: pixels of the image's side for each of the latents'.
    init(width: Int, height: Int, stride: Int) {
        cell = stride
        columns = max(1, width / stride)
        rows = max(1, height / stride)
        values = [Float](repeating: 0, count: embeddingSize * rows * columns)
    }

    var all: Cells { Cells(columns: 0..<columns, rows: 0..<rows) }

    /// The cells that a box covers, its borders rounded to whole ones; at least one where it begins in the grid.
    func cells(of box: Box) -> Cells {
        Cells(
            columns: range(box.left, box.right, upTo: columns), rows: range(box.top, box.bottom, upTo: rows))
    }

    private func range(_ first: Double, _ last: Double, upTo count: Int) -> Range<Int> {
        func index(_ place: Double) -> Int {
            // Whole pixels, then halves to the even cell, as the reference counts.
            let index = (place.rounded(.towardZero) / Double(cell)).rounded(.toNearestOrEven)
            return index.isFinite ? Int(min(max(index, 0), Double(count))) : 0
        }
        let start = index(first)
        return start..<min(max(index(last), start + 1), max(count, start))
    }

    /// Writes a face over what stands in cells.
    mutating func write(_ embedding: [Float], number: Int, in cells: Cells) {
        marks.append((cells, number))
        for (channel, value) in embedding.enumerated() {
            for row in cells.rows {
                let start = (channel * rows + row) * columns
                for column in cells.columns { values[start + column] = value }
            }
        }
    }

    /// [512, rows, columns].
    func condition() throws -> Tensor { try Tensor(values, shape: [embeddingSize, rows, columns]) }

    /// The image with each face's cells half in a colour of its own, [3, H, W] as the image.
    func preview(over image: Tensor) throws -> Tensor {
        let (height, width) = (image.size(1), image.size(2))
        var seen = image
        for mark in marks {
            let cover =
                try cover(mark.cells.rows, of: height).reshaped([1, height, 1])
                * cover(mark.cells.columns, of: width).reshaped([1, 1, width])  // [1, H, W]
            let colour = try Tensor(Self.colours[mark.number % Self.colours.count], shape: [3, 1, 1])
            seen = try seen + cover * (colour - seen) * 0.5
        }
        return seen
    }

    /// 1 for the pixels that cells cover, 0 for the others; the pixels behind the last cell belong to none.
    private func cover(_ cells: Range<Int>, of size: Int) throws -> Tensor {
        let pixels = cells.lowerBound * cell..<cells.upperBound * cell
        return try Tensor((0..<size).map { pixels.contains($0) ? Float(1) : 0 }, shape: [size])
    }

    /// The reference's twelve, bright and dark; it counts thirteen and fails at the thirteenth face.
    private static let colours: [[Float]] = [
        [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0],
        [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 0],
    ]
}
