/// The parts of one person that were found: peaks, and how sure all is.
struct Body {
    /// By part, the number of its peak among those of that part.
    private(set) var peaks: [Int?]
    /// The heights of the peaks and the scores of the limbs that join them.
    private(set) var total: Float

    /// A body of one limb.
    init(_ limb: Limb, _ connection: Connection, among peaks: [[Peak]]) {
        self.peaks = Array(repeating: nil, count: BodyPart.allCases.count)
        total = connection.score
        for (part, index) in [(limb.start, connection.start), (limb.end, connection.end)] {
            self.peaks[part.rawValue] = index
            total += peaks[part.rawValue][index].height
        }
    }

    var count: Int { peaks.count { $0 != nil } }

    func holds(_ part: BodyPart, _ index: Int) -> Bool { peaks[part.rawValue] == index }

    func shares(aPartWith other: Body) -> Bool { zip(peaks, other.peaks).contains { $0 != nil && $1 != nil } }

    /// Takes a further part, unless there is one of its kind.
    mutating func take(_ part: BodyPart, _ index: Int, _ height: Float, joinedBy score: Float) {
        guard peaks[part.rawValue] == nil else { return }
        peaks[part.rawValue] = index
        total += height + score
    }

    /// Takes all parts of another body, which shares none.
    mutating func take(_ other: Body, joinedBy score: Float) {
        peaks = zip(peaks, other.peaks).map { $0 ?? $1 }
        total += other.total + score
    }
}

/// A limb between two peaks of its parts, and how well the field leads from one to the other.
struct Connection {
    let start: Int
    let end: Int
    let score: Float
}
