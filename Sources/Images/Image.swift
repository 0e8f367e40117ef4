import CPixels

/// An image of 8-bit RGB, `pixels` [height, width, 3], rows top down.
public struct Image: Equatable, Sendable {
    /// In pixels, at least 1.
    public let width: Int
    /// In pixels, at least 1.
    public let height: Int
    /// [height, width, 3], red, green and blue of each pixel.
    public internal(set) var pixels: [UInt8]

    /// `pixels` holds height * width * 3 bytes.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "pixels are [height, width, 3]")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// An image of one colour.
    public init(width: Int, height: Int, colour: (red: UInt8, green: UInt8, blue: UInt8)) {
        var pixels = [UInt8](repeating: colour.red, count: width * height * 3)
        for index in stride(from: 0, to: pixels.count, by: 3) {
            pixels[index + 1] = colour.green
            pixels[index + 2] = colour.blue
        }
        self.init(width: width, height: height, pixels: pixels)
    }

    /// The samples as planes of 0...1, value / 255 as torchvision's `to_tensor`.
    public func planar() -> PlanarImage {
        PlanarImage(width: width, height: height, values: Image.planes(of: [self]))
    }

    /// The samples of images of one size as [count, 3, height, width] in 0...1, value / 255.
    public static func planes(of images: [Image]) -> [Float] {
        let (width, height) = (images.first?.width ?? 0, images.first?.height ?? 0)
        precondition(images.allSatisfy { $0.width == width && $0.height == height }, "the images are of one size")
        let count = width * height
        return [Float](unsafeUninitializedCapacity: images.count * count * 3) { values, initialized in
            for (index, image) in images.enumerated() {
                cascade_planes_from_rgb(image.pixels, count, values.baseAddress.map { $0 + index * count * 3 })
            }
            initialized = images.count * count * 3
        }
    }
}

/// An image of float RGB planes, `values` [3, height, width], 0...1.
public struct PlanarImage: Equatable, Sendable {
    /// In pixels, at least 1.
    public let width: Int
    /// In pixels, at least 1.
    public let height: Int
    /// [3, height, width], red, green and blue planes.
    public internal(set) var values: [Float]

    /// `values` holds 3 * height * width numbers.
    public init(width: Int, height: Int, values: [Float]) {
        precondition(width > 0 && height > 0 && values.count == width * height * 3, "values are [3, height, width]")
        self.width = width
        self.height = height
        self.values = values
    }

    /// The image in 8 bits: clamped to 0...1, times 255, rounded; what is not a number becomes 0.
    public func image() -> Image {
        let count = width * height
        let pixels = [UInt8](unsafeUninitializedCapacity: count * 3) { pixels, initialized in
            for channel in 0..<3 {
                for index in 0..<count {
                    pixels[index * 3 + channel] = UInt8(rounding: values[channel * count + index] * 255)
                }
            }
            initialized = count * 3
        }
        return Image(width: width, height: height, pixels: pixels)  // [H, W, 3]
    }
}

extension UInt8 {
    /// The nearest byte (halves to even, as torch rounds); 0 for what is not a number.
    init(rounding value: Float) {
        let clamped = value > 0 ? Swift.min(value, 255) : 0
        // From 2^23 on floats are whole numbers, so the sum is rounded; `rounded()` costs a call for each sample.
        let unit: Float = 0x1p23
        self = UInt8(truncatingIfNeeded: Int32((clamped + unit) - unit))
    }
}
