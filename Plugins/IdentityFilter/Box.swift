/// A rectangle, its sides parallel to the image's.
struct Box: Sendable, Equatable {
    var left: Double
    var top: Double
    var right: Double
    var bottom: Double

    var width: Double { right - left }
    var height: Double { bottom - top }

    /// The square of the longer side about the same middle.
    var squared: Box {
        let side = max(width, height)
        let (x, y) = (left + width / 2 - side / 2, top + height / 2 - side / 2)
        return Box(left: x, top: y, right: x + side, bottom: y + side)
    }

    /// Moved by parts of the sides given, for left, top, right and bottom.
    func moved(by parts: ArraySlice<Float>, width: Double, height: Double) -> Box {
        let parts = parts.map(Double.init)
        return Box(
            left: left + parts[0] * width, top: top + parts[1] * height, right: right + parts[2] * width,
            bottom: bottom + parts[3] * height)
    }

    /// Without what stands behind the point.
    var truncated: Box {
        Box(
            left: left.rounded(.towardZero), top: top.rounded(.towardZero), right: right.rounded(.towardZero),
            bottom: bottom.rounded(.towardZero))
    }

    /// The area with both border pixels counted, as the detectors' authors count.
    fileprivate var area: Double { (width + 1) * (height + 1) }

    fileprivate func sharedArea(with other: Box) -> Double {
        let width = max(0, min(right, other.right) - max(left, other.left) + 1)
        let height = max(0, min(bottom, other.bottom) - max(top, other.top) + 1)
        return width * height
    }
}

/// What the area that two boxes share is measured by.
enum Overlap {
    /// All that they cover together.
    case union
    /// The smaller of them.
    case smaller

    fileprivate func part(of box: Box, _ other: Box) -> Double {
        let shared = box.sharedArea(with: other)
        switch self {
        case .union: return shared / (box.area + other.area - shared)
        case .smaller: return shared / min(box.area, other.area)
        }
    }
}

/// Takes the boxes with the best scores and leaves out those that overlap one taken by more than a limit (non-maximum
/// suppression).
/// - Returns: what was taken, the best first.
func best<Candidate>(
    of candidates: [Candidate], overlap: Overlap, limit: Double, _ describe: (Candidate) -> (box: Box, score: Double)
) -> [Candidate] {
    let described = candidates.map(describe)
    var rest = described.indices.sorted { described[$0].score > described[$1].score }
    var taken: [Candidate] = []
    while let first = rest.first {
        taken.append(candidates[first])
        rest = rest.dropFirst().filter { overlap.part(of: described[first].box, described[$0].box) <= limit }
    }
    return taken
}
