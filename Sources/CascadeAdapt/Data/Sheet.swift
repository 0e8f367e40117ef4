import Failures
import Files
import Foundation
import Generation
import Images
import Loading

/// Images in rows on white paper, each with a few lines underneath.
///
/// The font has ASCII alone: accents are left out, and what has no letter there is written as `?`.
struct Sheet {
    /// An image, no side of it longer than the sheet's, and what is written below it as far as there is room.
    typealias Cell = (image: Image, text: String)

    private static let lines = 3
    private static let lineHeight = 14
    private static let gap = 12

    /// The longer side of an image, in pixels.
    let side: Int
    let columns: Int
    let cells: [Cell]

    /// The cells of a contact sheet in a square, numbered from 1, with their captions.
    init(_ contacts: ContactSheet) {
        side = contacts.side
        cells = contacts.cells.enumerated().map { ($1.image, "\($0 + 1) \($1.caption)") }
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

    func drawn() throws -> Image {
        guard !cells.isEmpty else { throw Failure.run("no image for the sheet") }
        let cellHeight = side + Self.lines * Self.lineHeight + Self.gap
        let rows = (cells.count + columns - 1) / columns
        var sheet = Image(
            width: columns * (side + Self.gap) + Self.gap, height: rows * cellHeight + Self.gap,
            colour: (255, 255, 255))
        for (index, cell) in cells.enumerated() {
            let (x, y) = (
                Self.gap + index % columns * (side + Self.gap), Self.gap + index / columns * cellHeight
            )
            sheet.paste(cell.image, x: x + (side - cell.image.width) / 2, y: y + side - cell.image.height)
            for (number, line) in try wrapped(ascii(cell.text), within: side, lines: Self.lines).enumerated() {
                try sheet.write(line, x: x, y: y + side + (number + 1) * Self.lineHeight, scale: fontScale)
            }
        }
        return sheet
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
        while count < words.count, try Image.lineWidth(line(count + 1), scale: fontScale) <= width { count += 1 }
        // A word wider than the cell is cut.
        var shown = line(count)
        while shown.count > 1, try Image.lineWidth(shown, scale: fontScale) > width { shown.removeLast() }
        lines.append(shown)
        words = words.dropFirst(count)
    }
    return lines
}
