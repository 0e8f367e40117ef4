import CPixels

extension Image {
    /// The image in another size: bilinear, antialiased where it shrinks, as torchvision's
    /// `resize(…, InterpolationMode.BILINEAR, antialias=True)` on a uint8 tensor.
    public func resized(width newWidth: Int, height newHeight: Int) -> Image {
        resized(columns: Window(0, newWidth, of: newWidth), rows: Window(0, newHeight, of: newHeight))
    }

    /// A window of the image in another size. Rows are mixed first, each new one as it is needed, in float; then the
    /// columns of that row, rounded once.
    func resized(columns: Window, rows: Window) -> Image {
        let across = AxisWeights(old: width, window: columns)
        let down = AxisWeights(old: height, window: rows)
        let count = columns.count * rows.count * 3
        let sources = across.sources
        var row = [Float](repeating: 0, count: sources.count * 3 + 1)
        let resized = [UInt8](unsafeUninitializedCapacity: count) { resized, initialized in
            pixels.withUnsafeBufferPointer { pixels in
                across.withAxis(startingAt: sources.lowerBound) { across in
                    down.withAxis { down in
                        cascade_resize_rgb(
                            pixels.baseAddress.map { $0 + sources.lowerBound * 3 }, sources.count, width * 3, across,
                            down, &row, resized.baseAddress)
                    }
                }
            }
            initialized = count
        }
        return Image(width: columns.count, height: rows.count, pixels: resized)
    }
}

extension PlanarImage {
    /// The image in another size: bilinear, antialiased where it shrinks, as torchvision's
    /// `resize(…, InterpolationMode.BILINEAR, antialias=True)` on a float tensor.
    public func resized(width newWidth: Int, height newHeight: Int) -> PlanarImage {
        let across = AxisWeights(old: width, window: Window(0, newWidth, of: newWidth))
        let down = AxisWeights(old: height, window: Window(0, newHeight, of: newHeight))
        let count = newWidth * newHeight
        var row = [Float](repeating: 0, count: width)
        let resized = [Float](unsafeUninitializedCapacity: count * 3) { resized, initialized in
            values.withUnsafeBufferPointer { values in
                across.withAxis { across in
                    down.withAxis { down in
                        for plane in 0..<3 {
                            cascade_resize_plane(
                                values.baseAddress.map { $0 + plane * width * height }, width, across, down, &row,
                                resized.baseAddress.map { $0 + plane * count })
                        }
                    }
                }
            }
            initialized = count * 3
        }
        return PlanarImage(width: newWidth, height: newHeight, values: resized)
    }
}

/// The samples wanted of a resized axis.
struct Window: Equatable {
    let first: Int
    let count: Int
    /// How many samples the whole resized axis has.
    let size: Int

    init(_ first: Int, _ count: Int, of size: Int) {
        precondition(first >= 0 && count > 0 && first + count <= size, "the window lies within the resized axis")
        self.first = first
        self.count = count
        self.size = size
    }
}

/// The weights with which an axis of `old` samples becomes a window of a resized one: a triangle as wide as the larger
/// pixel, cut off at the border and normalised (PyTorch's antialiased upsampling, Pillow's BILINEAR).
struct AxisWeights {
    /// For each new sample the first old one it draws on.
    private var firsts: [Int32] = []
    /// [new samples, taps]
    private var weights: [Float] = []
    /// How many old samples each new one draws on, some perhaps with weight 0.
    private let taps: Int

    init(old: Int, window: Window) {
        let scale = Double(old) / Double(window.size)
        let reach = max(scale, 1)
        var stretches: [(first: Int, triangle: [Double])] = []
        for index in window.first..<(window.first + window.count) {
            let centre = scale * (Double(index) + 0.5)
            var first = max(Int(centre - reach + 0.5), 0)
            let last = min(Int(centre + reach + 0.5), old)
            var triangle = (first..<last).map { max(0, 1 - abs((Double($0) - centre + 0.5) / reach)) }
            while triangle.count > 1, triangle.last == 0 { triangle.removeLast() }
            while triangle.count > 1, triangle.first == 0 {
                triangle.removeFirst()
                first += 1
            }
            stretches.append((first, triangle))
        }
        taps = stretches.lazy.map(\.triangle.count).max() ?? 1
        for (first, triangle) in stretches {
            // All have the same number of taps, so those at the end of the axis begin earlier, with nothing.
            let start = max(0, min(first, old - taps))
            let sum = triangle.reduce(0, +)
            firsts.append(Int32(start))
            weights += repeatElement(0, count: first - start)
            weights += triangle.map { Float($0 / sum) }
            weights += repeatElement(0, count: taps - triangle.count - (first - start))
        }
    }

    /// The old samples that are drawn on at all.
    var sources: Range<Int> {
        let first = Int(firsts.first ?? 0)
        return first..<(Int(firsts.last ?? 0) + taps)
    }

    /// Calls with the axis as C sees it, its old samples counted from `start`.
    func withAxis(startingAt start: Int = 0, _ body: (CascadeAxis) -> Void) {
        (start == 0 ? firsts : firsts.map { $0 - Int32(start) }).withUnsafeBufferPointer { firsts in
            weights.withUnsafeBufferPointer { weights in
                body(
                    CascadeAxis(
                        count: firsts.count, taps: taps, firsts: firsts.baseAddress, weights: weights.baseAddress))
            }
        }
    }
}
