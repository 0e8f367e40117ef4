import Failures

extension Picture {
    /// Pictures of one size in rows, with 2 black pixels between them; short rows end in black.
    public static func grid(_ rows: [[Picture]]) throws -> Picture {
        let gap = 2
        guard let first = rows.first(where: { !$0.isEmpty })?.first else {
            throw Failure.run("no picture to lay into a grid")
        }
        let columns = rows.map(\.count).max() ?? 0
        let width = columns * (first.width + gap) - gap
        let height = rows.count * (first.height + gap) - gap
        var grid = Picture(width: width, height: height, colour: (0, 0, 0))
        for (row, pictures) in rows.enumerated() {
            for (column, picture) in pictures.enumerated() {
                guard picture.width == first.width, picture.height == first.height else {
                    throw Failure.run(
                        "pictures of different sizes in one grid", expected: "\(first.width) x \(first.height)",
                        got: "\(picture.width) x \(picture.height)")
                }
                grid.paste(picture, x: column * (first.width + gap), y: row * (first.height + gap))
            }
        }
        return grid
    }

    private mutating func paste(_ picture: Picture, x: Int, y: Int) {
        for row in 0..<picture.height {
            let source = row * picture.width * 3
            let target = ((y + row) * width + x) * 3
            pixels.replaceSubrange(
                target..<(target + picture.width * 3), with: picture.pixels[source..<(source + picture.width * 3)])
        }
    }
}
