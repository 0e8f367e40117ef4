import COpenCV
import Failures
import Foundation
import Images
import Loading

extension ContactSheet {
    /// The cells in rows, numbered from 1, with their captions underneath as far as there is room.
    ///
    /// The font has ASCII alone: accents are left out, and what has no letter there is written as `?`.
    func drawn() throws -> Picture {
        let cells = cells
        guard !cells.isEmpty else { throw Failure.run("no picture for the sheet") }
        let layout = SheetLayout(cells: cells.count, side: side)
        var canvas = Canvas(width: layout.width, height: layout.height)
        for (index, cell) in cells.enumerated() {
            let (x, y) = layout.corner(of: index)
            canvas.paste(cell.picture, x: x + (side - cell.picture.width) / 2, y: y + side - cell.picture.height)
            let lines = try wrapped("\(index + 1) \(ascii(cell.caption))", within: side, lines: SheetLayout.lines)
            for (number, line) in lines.enumerated() {
                try canvas.write(line, x: x, y: y + side + (number + 1) * SheetLayout.lineHeight)
            }
        }
        return Picture(width: canvas.width, height: canvas.height, pixels: canvas.pixels)
    }
}

/// Where the cells lie, in pixels.
private struct SheetLayout {
    static let lines = 3
    static let lineHeight = 14
    private static let gap = 12

    let columns: Int
    let rows: Int
    let side: Int

    init(cells: Int, side: Int) {
        columns = Int(Double(cells).squareRoot().rounded(.up))
        rows = (cells + columns - 1) / columns
        self.side = side
    }

    private var cellHeight: Int { side + Self.lines * Self.lineHeight + Self.gap }

    var width: Int { columns * (side + Self.gap) + Self.gap }
    var height: Int { rows * cellHeight + Self.gap }

    func corner(of cell: Int) -> (x: Int, y: Int) {
        (Self.gap + cell % columns * (side + Self.gap), Self.gap + cell / columns * cellHeight)
    }
}

/// White paper to lay pictures and lines on.
private struct Canvas {
    let width: Int
    let height: Int
    private(set) var pixels: [UInt8]  // [height, width, 3]

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        pixels = [UInt8](repeating: 255, count: width * height * 3)
    }

    /// Lays a picture down; it must fit.
    mutating func paste(_ picture: Picture, x: Int, y: Int) {
        for row in 0..<picture.height {
            let source = row * picture.width * 3
            let target = ((y + row) * width + x) * 3
            pixels.replaceSubrange(
                target..<(target + picture.width * 3), with: picture.pixels[source..<(source + picture.width * 3)])
        }
    }

    mutating func write(_ line: String, x: Int, y: Int) throws {
        let (status, message) = withErrorMessage { error, size in
            cascade_write_line(&pixels, height, width, line, x, y, fontScale, error, size)
        }
        if status != CASCADE_CV_OK { throw Failure.run("can't write on the sheet", got: message) }
    }
}

private let fontScale = 0.4

/// A caption in the letters that the font has, on one line.
private func ascii(_ caption: String) -> String {
    let plain = caption.prefix(400).folding(options: .diacriticInsensitive, locale: nil)
    let words = plain.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return String(words.map { (" "..."~").contains($0) ? $0 : "?" })
}

/// A text broken between words into so many lines of a width in pixels; what is left over becomes `...`.
private func wrapped(_ text: String, within width: Int, lines limit: Int) throws -> [String] {
    var lines: [String] = []
    var words = text.split(separator: " ").map(String.init)[...]
    while !words.isEmpty, lines.count < limit {
        let isLast = lines.count == limit - 1
        func line(_ count: Int) -> String {
            words.prefix(count).joined(separator: " ") + (isLast && count < words.count ? " ..." : "")
        }
        var count = 1
        while count < words.count, try lineWidth(line(count + 1)) <= width { count += 1 }
        // A word wider than the cell is cut.
        var shown = line(count)
        while shown.count > 1, try lineWidth(shown) > width { shown.removeLast() }
        lines.append(shown)
        words = words.dropFirst(count)
    }
    return lines
}

private func lineWidth(_ text: String) throws -> Int {
    var width = 0
    let (status, message) = withErrorMessage { cascade_line_width(text, fontScale, &width, $0, $1) }
    if status != CASCADE_CV_OK { throw Failure.run("can't measure a line of the sheet", got: message) }
    return width
}
