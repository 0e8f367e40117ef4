extension Image {
    /// Where a smart crop begins: the window of the bucket's size, among those that the resized image has room for,
    /// in which there is most to see. Nothing is learned and nothing is drawn, so an image always gets the same.
    ///
    /// A thumbnail is looked at. A pixel's weight is how far its colour lies from the mean of its surroundings (a square
    /// of a quarter of the thumbnail: what is sharp or stands alone) plus half of how far it lies from the mean of the
    /// whole image (what is unlike the background). A window's score is its share of all weight, less up to a tenth at
    /// either end of the way, so that of two windows alike the one nearer to the middle is taken.
    ///
    /// The window is moved as far as `fit` says and there is room.
    func subjectOffset(of fit: AspectBuckets.Fit) -> (x: Int, y: Int) {
        let freeX = fit.resizedWidth - fit.bucket.width
        let freeY = fit.resizedHeight - fit.bucket.height
        if freeX == 0 && freeY == 0 { return (0, 0) }
        let thumbnail = resized(width: min(width, Self.thumbnailSide), height: min(height, Self.thumbnailSide))
        let weights = thumbnail.distinctness()
        var (columns, rows) = (
            [Float](repeating: 0, count: thumbnail.width), [Float](repeating: 0, count: thumbnail.height)
        )
        for y in 0..<thumbnail.height {
            for x in 0..<thumbnail.width {
                columns[x] += weights[y * thumbnail.width + x]
                rows[y] += weights[y * thumbnail.width + x]
            }
        }
        let best = (
            x: bestOffset(of: fit.bucket.width, in: fit.resizedWidth, profile: columns),
            y: bestOffset(of: fit.bucket.height, in: fit.resizedHeight, profile: rows)
        )
        return (
            min(max(0, best.x + fit.shift.x * fit.resizedWidth / 1000), freeX),
            min(max(0, best.y + fit.shift.y * fit.resizedHeight / 1000), freeY)
        )
    }

    private static let thumbnailSide = 64

    /// How far each pixel's colour lies from that of its surroundings and of the whole, [height, width].
    private func distinctness() -> [Float] {
        let sums = integralSums()
        func mean(_ columns: Range<Int>, _ rows: Range<Int>, _ channel: Int) -> Float {
            func sum(_ x: Int, _ y: Int) -> Int { sums[(y * (width + 1) + x) * 3 + channel] }
            let inside =
                sum(columns.upperBound, rows.upperBound) - sum(columns.lowerBound, rows.upperBound)
                - sum(columns.upperBound, rows.lowerBound) + sum(columns.lowerBound, rows.lowerBound)
            return Float(inside) / Float(columns.count * rows.count)
        }
        let reach = (across: max(1, width / 8), down: max(1, height / 8))
        let whole = (0..<3).map { mean(0..<width, 0..<height, $0) }
        var weights: [Float] = []
        weights.reserveCapacity(width * height)
        for y in 0..<height {
            let rows = max(0, y - reach.down)..<min(height, y + reach.down + 1)
            for x in 0..<width {
                let columns = max(0, x - reach.across)..<min(width, x + reach.across + 1)
                var weight: Float = 0
                for channel in 0..<3 {
                    let value = Float(pixels[(y * width + x) * 3 + channel])
                    weight += abs(value - mean(columns, rows, channel)) + abs(value - whole[channel]) / 2
                }
                weights.append(weight)
            }
        }
        return weights
    }

    /// Sums of all samples left of and above each corner, [height + 1, width + 1, 3].
    private func integralSums() -> [Int] {
        var sums = [Int](repeating: 0, count: (width + 1) * (height + 1) * 3)
        for y in 0..<height {
            for x in 0..<width {
                for channel in 0..<3 {
                    let at = { (x: Int, y: Int) in (y * (width + 1) + x) * 3 + channel }
                    sums[at(x + 1, y + 1)] =
                        Int(pixels[(y * width + x) * 3 + channel]) + sums[at(x, y + 1)] + sums[at(x + 1, y)]
                        - sums[at(x, y)]
                }
            }
        }
        return sums
    }
}

/// The offset of the best window of `inner` samples in an axis of `outer`, of which `profile` is a coarse image; 65
/// offsets at most are tried.
private func bestOffset(of inner: Int, in outer: Int, profile: [Float]) -> Int {
    let free = outer - inner
    let centre = centreOffset(of: inner, in: outer)
    var before: [Double] = [0]
    for weight in profile { before.append(before[before.count - 1] + Double(weight)) }
    let total = before[profile.count]
    guard free > 0, total > 0 else { return centre }
    /// The weight before a place of the axis.
    func weight(before place: Int) -> Double {
        let position = Double(place) * Double(profile.count) / Double(outer)
        let index = min(Int(position), profile.count - 1)
        return before[index] + (position - Double(index)) * Double(profile[index])
    }
    func score(_ offset: Int) -> Double {
        let away = 2 * Double(offset) / Double(free) - 1
        return (weight(before: offset + inner) - weight(before: offset)) / total - 0.1 * away * away
    }
    let steps = min(free, 64)
    return (0...steps).map { $0 * free / steps }.reduce(centre) { score($1) > score($0) ? $1 : $0 }
}
