import CPixels
import Files

extension Image {
    /// More pixels than any photograph needs; a file that declares more is refused before memory is taken.
    public static let defaultPixelLimit = 1 << 27

    /// Decodes a JPEG, PNG, WebP or BMP file, told by its first bytes; of an animation the first frame.
    ///
    /// Transparency is laid over white, EXIF orientation applied, 16 bits rounded to 8, CMYK converted as Pillow does.
    /// Colour profiles are ignored, as in the reference. A file that can't be read, is cut off or damaged, or declares
    /// more than `pixelLimit` pixels is a failure of the input at `name`.
    public init(decoding bytes: [UInt8], name: String = "image", pixelLimit: Int = defaultPixelLimit) throws {
        let info = try Image.info(of: bytes, name: name, pixelLimit: pixelLimit)
        try self.init(decoding: bytes, info, name: name, eighths: 8)
    }

    /// Decodes what an image of `covering` pixels, upright, needs of the file: a JPEG at an eighth, a quarter or a half
    /// of its size, the first that is still 2.5 times as large, because libjpeg then skips the frequencies that resizing
    /// would remove; any other file whole.
    ///
    /// Sizes in between are not used: libjpeg is slower at them than at the whole. What is resized from the result
    /// differs little from what is resized from the whole image (see `leastShrinking`), and not at all where the
    /// image is less than 5 times as large as `covering`, because then it is decoded whole.
    public init(
        decoding bytes: [UInt8], name: String = "image", covering target: (width: Int, height: Int),
        pixelLimit: Int = defaultPixelLimit
    ) throws {
        let info = try Image.info(of: bytes, name: name, pixelLimit: pixelLimit)
        try self.init(decoding: bytes, info, name: name, eighths: Self.eighths(of: info, covering: target))
    }

    /// In eighths of its size, how large a file is decoded for an image of `target` pixels.
    static func eighths(of info: ImageInfo, covering target: (width: Int, height: Int)) -> Int {
        guard info.format == .jpeg else { return 8 }
        return [1, 2, 4].first { eighths in
            func suffices(_ side: Int, _ wanted: Int) -> Bool {
                Double(side * eighths) / 8 >= Double(wanted) * leastShrinking
            }
            return suffices(info.width, target.width) && suffices(info.height, target.height)
        } ?? 8
    }

    /// Reads and decodes a file.
    public init(contentsOf path: String, pixelLimit: Int = defaultPixelLimit) throws {
        try self.init(decoding: readFile(path), name: path, pixelLimit: pixelLimit)
    }

    /// How many times larger than what is wanted a JPEG decoded at a part of its size must still be, so that resizing
    /// hides the coarser decoding: see Tests/Peers/checks/scaled.py. On photographs of 1024 x 1024 pixels the PSNR to full
    /// decoding is then above 45 dB; at twice the size it falls to 39 dB, at 1.33 times to 37.
    private static let leastShrinking = 2.5

    /// Decodes a file as its alpha channel in grey, where anything in it is transparent; else as the image.
    init(alphaOf bytes: [UInt8], name: String, pixelLimit: Int) throws {
        let info = try Image.info(of: bytes, name: name, pixelLimit: pixelLimit)
        try self.init(decoding: bytes, info, name: name, eighths: 8, showsAlpha: true)
    }

    private init(
        decoding bytes: [UInt8], _ info: ImageInfo, name: String, eighths: Int, showsAlpha: Bool = false
    ) throws {
        let format = info.format
        guard let door = ImageCodec(format) else {
            self = try Bitmap(bytes, name: name, pixelLimit: bytes.count).image
            return
        }
        if format == .webp, let animation = WebPAnimation(bytes) {
            self = try animation.firstFrame(name: name).oriented(info.orientation)
            return
        }
        let isTurned = info.orientation.isTransposed
        let width = ((isTurned ? info.height : info.width) * eighths + 7) / 8
        let height = ((isTurned ? info.width : info.height) * eighths + 7) / 8
        let pixels = try [UInt8](unsafeUninitializedCapacity: width * height * door.channels) { buffer, initialized in
            // libpng leaves rows of a later interlace pass untouched where the file ends; nothing unset may show.
            if format == .png { buffer.initialize(repeating: 0) }
            try checkDoor("can't decode the \(format.rawValue) image", name: name) {
                door.decode(bytes, bytes.count, UInt32(eighths), buffer.baseAddress, buffer.count, $0, $1)
            }
            if door.channels == 4 && showsAlpha { Self.showAlpha(buffer) }
            if door.channels == 4 { cascade_rgb_over_white(buffer.baseAddress, width * height, buffer.baseAddress) }
            initialized = width * height * 3
        }
        self = Image(width: width, height: height, pixels: pixels).oriented(info.orientation)
    }

    /// Makes RGBA opaque and as grey as it was opaque, unless all of it was.
    private static func showAlpha(_ rgba: UnsafeMutableBufferPointer<UInt8>) {
        let alphas = stride(from: 3, to: rgba.count, by: 4)
        guard alphas.contains(where: { rgba[$0] < 255 }) else { return }
        for place in alphas {
            for channel in place - 3..<place { rgba[channel] = rgba[place] }
            rgba[place] = 255
        }
    }
}
