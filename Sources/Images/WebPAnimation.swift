import Failures

/// A WebP file with frames, of which the first is read, as Pillow shows it.
///
/// Source: WebP Container Specification, "Animation".
struct WebPAnimation {
    /// Of the canvas.
    let width: Int
    let height: Int
    private let first: Frame

    /// What a frame's image begins with: transparency, a lossy or a lossless image. No animation lies within one.
    private static let imageChunks = ["ALPH", "VP8 ", "VP8L"].map { Array($0.utf8) }

    private struct Frame {
        let x: Int
        let y: Int
        let width: Int
        let height: Int
        /// The chunks of its image, such as a file of one image has.
        let chunks: ArraySlice<UInt8>
    }

    /// Nil for a file of one image, and for one whose chunks mean nothing.
    init?(_ bytes: [UInt8]) {
        func number(_ offset: Int, _ count: Int) -> Int? { bytes[...].number(at: offset, bytes: count, isLittle: true) }
        guard bytes[...].dropFirst(12).starts(with: "VP8X".utf8), let flags = number(20, 1), flags & 2 != 0,
            let width = number(24, 3), let height = number(27, 3)
        else { return nil }
        (self.width, self.height) = (width + 1, height + 1)
        var position = 12
        while let length = number(position + 4, 4), length <= bytes.count - position - 8 {
            let start = position + 8
            if bytes[position..<start].starts(with: "ANMF".utf8), let x = number(start, 3),
                let y = number(start + 3, 3),
                let frameWidth = number(start + 6, 3), let frameHeight = number(start + 9, 3), length >= 16,
                Self.imageChunks.contains(where: bytes[(start + 16)..<(start + length)].starts(with:))
            {
                first = Frame(
                    x: 2 * x, y: 2 * y, width: frameWidth + 1, height: frameHeight + 1,
                    chunks: bytes[(start + 16)..<(start + length)])
                return
            }
            position = start + length + length % 2
        }
        return nil
    }

    /// The first frame on the canvas, whose rest is transparent, so white.
    func firstFrame(name: String) throws -> Image {
        guard first.x + first.width <= width, first.y + first.height <= height else {
            throw Failure.input("can't decode the WebP image", at: .init(name), got: "a frame outside of its canvas")
        }
        let still = still
        let info = try Image.info(of: still, name: name)
        guard (info.width, info.height) == (first.width, first.height) else {
            throw Failure.input("can't decode the WebP image", at: .init(name), got: "a frame of another size")
        }
        let frame = try Image(decoding: still, name: name)
        var canvas = Image(width: width, height: height, colour: (255, 255, 255))
        canvas.paste(frame, x: first.x, y: first.y)
        return canvas
    }

    /// The frame as a file of its own; one with a chunk of transparency says so in front.
    private var still: [UInt8] {
        func little(_ number: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(number >> (8 * $0) & 0xFF) } }
        let hasAlpha = first.chunks.starts(with: "ALPH".utf8)
        let header =
            hasAlpha
            ? Array("VP8X".utf8) + little(10, 4) + [0x10, 0, 0, 0] + little(first.width - 1, 3)
                + little(first.height - 1, 3) : []
        let content = Array("WEBP".utf8) + header + first.chunks
        return Array("RIFF".utf8) + little(content.count, 4) + content
    }
}
