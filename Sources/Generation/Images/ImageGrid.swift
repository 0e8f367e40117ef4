import Failures
import Images

extension Image {
    /// The image below a label on white paper.
    /// - Parameter label: ASCII; what is too long for the image's width is left out.
    public func captioned(_ label: String) throws -> Image {
        let strip = max(16, height / 16)
        var sheet = Image(width: width, height: strip + height, colour: (255, 255, 255))
        try sheet.write(label, x: strip / 4, y: strip * 3 / 4, scale: Double(strip) / 40)
        sheet.paste(self, x: 0, y: strip)
        return sheet
    }

    /// Rows of images of one size as one image: with labels each row below its own on white paper, without them on
    /// black.
    /// - Parameter labels: ASCII, one for each row or none at all.
    public static func grid(_ rows: [[Image]], labels: [String] = []) throws -> Image {
        precondition(labels.isEmpty || labels.count == rows.count, "each row has a label, or none has")
        let gap = 2
        guard let first = rows.first(where: { !$0.isEmpty })?.first else {
            throw Failure.run("no image to lay into a grid")
        }
        // Letters grow with the images, to be read where a page shows the sheet small.
        let strip = labels.isEmpty ? 0 : max(16, first.height / 9)
        let columns = rows.map(\.count).max() ?? 0
        let width = columns * (first.width + gap) - gap
        let pitch = strip + first.height + gap
        let paper: UInt8 = labels.isEmpty ? 0 : 255
        var grid = Image(width: width, height: rows.count * pitch - gap, colour: (paper, paper, paper))
        for (row, images) in rows.enumerated() {
            if !labels.isEmpty {
                try grid.write(labels[row], x: strip / 4, y: row * pitch + strip * 3 / 4, scale: Double(strip) / 40)
            }
            for (column, image) in images.enumerated() {
                guard image.width == first.width, image.height == first.height else {
                    throw Failure.run(
                        "images of different sizes in one grid", expected: "\(first.width) x \(first.height)",
                        got: "\(image.width) x \(image.height)")
                }
                grid.paste(image, x: column * (first.width + gap), y: row * pitch + strip)
            }
        }
        return grid
    }
}
