import COpenCV
import Failures
import Files
import Foundation
import Images
import Loading

/// Pictures in rows on white paper, each with a few lines underneath.
///
/// The font has ASCII alone: accents are left out, and what has no letter there is written as `?`.
struct Sheet {
    /// A picture, no side of it longer than the sheet's, and what is written below it as far as there is room.
    typealias Cell = (picture: Picture, text: String)

    private static let lines = 3
    private static let lineHeight = 14
    private static let gap = 12

    /// The longer side of a picture, in pixels.
    let side: Int
    let columns: Int
    let cells: [Cell]

    /// The cells of a contact sheet in a square, numbered from 1, with their captions.
    init(_ contacts: ContactSheet) {
        side = contacts.side
        cells = contacts.cells.enumerated().map { ($1.picture, "\($0 + 1) \($1.caption)") }
        columns = Int(Double(cells.count).squareRoot().rounded(.up))
    }

    init(side: Int, columns: Int, cells: [Cell]) {
        self.side = side
        self.columns = columns
        self.cells = cells
    }

    /// Fails where a sheet could not be written, before the work is done that it shows.
    static func checkPath(_ path: String) throws {
        guard [".png", ".jpg", ".jpeg"].contains(where: path.lowercased().hasSuffix) else {
            throw Failure.input(
                "can't tell the sheet's format from its name", at: .init(path), expected: "a name in .png or .jpg")
        }
        _ = try AtomicFile(at: path)
    }

    func drawn() throws -> Picture {
        guard !cells.isEmpty else { throw Failure.run("no picture for the sheet") }
        let cellHeight = side + Self.lines * Self.lineHeight + Self.gap
        let rows = (cells.count + columns - 1) / columns
        var canvas = Canvas(
            width: columns * (side + Self.gap) + Self.gap, height: rows * cellHeight + Self.gap)
        for (index, cell) in cells.enumerated() {
            let (x, y) = (
                Self.gap + index % columns * (side + Self.gap), Self.gap + index / columns * cellHeight
            )
            canvas.paste(cell.picture, x: x + (side - cell.picture.width) / 2, y: y + side - cell.picture.height)
            for (number, line) in try wrapped(ascii(cell.text), within: side, lines: Self.lines).enumerated() {
                try canvas.write(line, x: x, y: y + side + (number + 1) * Self.lineHeight)
            }
        }
        return Picture(width: canvas.width, height: canvas.height, pixels: canvas.pixels)
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
