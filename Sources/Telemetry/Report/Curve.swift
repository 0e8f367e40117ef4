/// A curve of any length in few points: of each stretch of updates the mean, the smallest and the largest value.
///
/// Stretches are all of one length, a power of two that doubles when they grow too many; so the points depend on the
/// values alone and not on when they were asked for.
struct Curve {
    /// What a stretch of updates measured.
    struct Point {
        fileprivate var number: Int
        fileprivate var steps: ClosedRange<Int>
        fileprivate var sum: Double
        fileprivate var count: Int
        private(set) var low: Double
        private(set) var high: Double

        fileprivate init(_ value: Double, at step: Int, number: Int) {
            self.number = number
            steps = step...step
            (sum, count, low, high) = (value, 1, value, value)
        }

        /// The middle of the updates that were measured.
        var step: Int { (steps.lowerBound + steps.upperBound) / 2 }
        var mean: Double { sum / Double(count) }

        fileprivate mutating func add(_ later: Point) {
            steps = steps.lowerBound...max(steps.upperBound, later.steps.upperBound)
            sum += later.sum
            count += later.count
            low = min(low, later.low)
            high = max(high, later.high)
        }
    }

    private static let mostPoints = 512
    private(set) var points: [Point] = []
    /// How many updates a stretch is long.
    private(set) var length = 1
    private(set) var last: Double?

    /// Steps come in their order. What is no number leaves no point.
    mutating func add(_ value: Double, at step: Int) {
        guard value.isFinite else { return }
        last = value
        append(Point(value, at: step, number: step / length))
        while points.count > Self.mostPoints {
            length *= 2
            let halves = points
            points = []
            for var half in halves {
                half.number /= 2
                append(half)
            }
        }
    }

    private mutating func append(_ point: Point) {
        if let index = points.indices.last, points[index].number == point.number {
            points[index].add(point)
        } else {
            points.append(point)
        }
    }
}
