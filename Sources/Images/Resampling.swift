extension Picture {
    /// The picture in another size: bilinear, antialiased where it shrinks, as torchvision's
    /// `resize(…, InterpolationMode.BILINEAR, antialias=True)` on a uint8 tensor.
    public func resized(width newWidth: Int, height newHeight: Int) -> Picture {
        resized(columns: Window(0, newWidth, of: newWidth), rows: Window(0, newHeight, of: newHeight))
    }

    /// A window of the picture in another size.
    func resized(columns: Window, rows: Window) -> Picture {
        let planes = Planes(count: 1, rows: height, columns: width, interleaved: 3)
        let result = resample(pixels.map(Float.init), planes, columns: columns, rows: rows)
        return Picture(width: columns.count, height: rows.count, pixels: result.map(UInt8.init(rounding:)))
    }
}

extension PlanarPicture {
    /// The picture in another size: bilinear, antialiased where it shrinks, as torchvision's
    /// `resize(…, InterpolationMode.BILINEAR, antialias=True)` on a float tensor.
    public func resized(width newWidth: Int, height newHeight: Int) -> PlanarPicture {
        let planes = Planes(count: 3, rows: height, columns: width, interleaved: 1)
        let result = resample(
            values, planes, columns: Window(0, newWidth, of: newWidth), rows: Window(0, newHeight, of: newHeight))
        return PlanarPicture(width: newWidth, height: newHeight, values: result)
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

/// The layout [count, rows, columns, interleaved].
private struct Planes {
    var count: Int
    var rows: Int
    var columns: Int
    var interleaved: Int
}

/// The weights with which an axis of `old` samples becomes a window of a resized one: a triangle as wide as the larger
/// pixel, cut off at the border and normalised (PyTorch's antialiased upsampling, Pillow's BILINEAR).
private struct AxisWeights {
    /// The old samples that are drawn on at all.
    var sources = 0..<0
    /// For each new sample the first old one it draws on, and where its weights begin and end.
    var firsts: [Int] = []
    var bounds: [Int] = [0]
    var weights: [Float] = []

    init(old: Int, window: Window) {
        let scale = Double(old) / Double(window.size)
        let reach = max(scale, 1)
        var end = 0
        for index in window.first..<(window.first + window.count) {
            let centre = scale * (Double(index) + 0.5)
            let first = max(Int(centre - reach + 0.5), 0)
            let last = min(Int(centre + reach + 0.5), old)
            let triangle = (first..<last).map { max(0, 1 - abs((Double($0) - centre + 0.5) / reach)) }
            let sum = triangle.reduce(0, +)
            firsts.append(first)
            weights += triangle.map { Float($0 / sum) }
            bounds.append(weights.count)
            end = max(end, last)
        }
        sources = (firsts.first ?? 0)..<end
    }
}

/// Columns first, then rows, each a weighted sum; sums and intermediate values stay in float.
private func resample(_ values: [Float], _ planes: Planes, columns: Window, rows: Window) -> [Float] {
    let across = AxisWeights(old: planes.columns, window: columns)
    let down = AxisWeights(old: planes.rows, window: rows)
    var narrow: [Float] = []  // [count, rows drawn on, new columns, interleaved]
    narrow.reserveCapacity(planes.count * down.sources.count * columns.count * planes.interleaved)
    let rowSize = planes.columns * planes.interleaved
    for plane in 0..<planes.count {
        let start = plane * planes.rows * rowSize
        let drawnOn = values[(start + down.sources.lowerBound * rowSize)..<(start + down.sources.upperBound * rowSize)]
        narrow += across.applied(
            to: drawnOn, outer: down.sources.count, inner: planes.interleaved, old: 0..<planes.columns)
    }
    // [count, new rows, new columns, interleaved]
    return down.applied(
        to: narrow[...], outer: planes.count, inner: columns.count * planes.interleaved, old: down.sources)
}

extension AxisWeights {
    /// Resamples the middle axis of [outer, old, inner], `old` being the stretch of the old axis that is there.
    fileprivate func applied(to values: ArraySlice<Float>, outer: Int, inner: Int, old: Range<Int>) -> [Float] {
        let size = outer * firsts.count * inner
        return [Float](unsafeUninitializedCapacity: size) { result, initialized in
            result.initialize(repeating: 0)
            values.withUnsafeBufferPointer { values in
                weights.withUnsafeBufferPointer { weights in
                    for block in 0..<outer {
                        for (index, first) in firsts.enumerated() {
                            let source = (block * old.count + first - old.lowerBound) * inner
                            let taps = UnsafeBufferPointer(rebasing: weights[bounds[index]..<bounds[index + 1]])
                            let row = UnsafeBufferPointer(rebasing: values[source..<(source + taps.count * inner)])
                            let target = (block * firsts.count + index) * inner
                            addWeighted(
                                row, taps, to: UnsafeMutableBufferPointer(rebasing: result[target..<(target + inner)]))
                        }
                    }
                }
            }
            initialized = size
        }
    }
}

/// Adds to `sum` [inner] the rows of [taps, inner], each times its weight.
@inline(__always)
private func addWeighted(
    _ rows: UnsafeBufferPointer<Float>, _ taps: UnsafeBufferPointer<Float>, to sum: UnsafeMutableBufferPointer<Float>
) {
    let inner = sum.count
    if inner == 3 {
        // Interleaved colours: three sums in registers, where the loop below would not be worth its start.
        var (red, green, blue) = (Float(0), Float(0), Float(0))
        for tap in 0..<taps.count {
            red += taps[tap] * rows[tap * 3]
            green += taps[tap] * rows[tap * 3 + 1]
            blue += taps[tap] * rows[tap * 3 + 2]
        }
        (sum[0], sum[1], sum[2]) = (red, green, blue)
        return
    }
    for tap in 0..<taps.count {
        let weight = taps[tap]
        for i in 0..<inner { sum[i] += weight * rows[tap * inner + i] }
    }
}
