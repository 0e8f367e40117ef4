import Images
@testable import PoseFilter
import TestSupport
import Testing
import Torch

/// The default network on real photographs, against what a person sees there.
@Suite struct PosePhotographTests {
    /// Somebody over 200 pixels tall: how many of these the image shows, and where a look puts the joints, in pixels.
    struct Person {
        let height: Float
        let joints: [(parts: Set<BodyPart>, x: Float, y: Float)]

        /// Joints are found within a tenth of the height. Of a person seen from the side or from behind, where a look
        /// can't tell right from left, either is good.
        init(_ height: Float, sided: [BodyPart: (Float, Float)], either: [(Set<BodyPart>, Float, Float)] = []) {
            self.height = height
            joints = sided.map { ([$0.key], $0.value.0, $0.value.1) } + either
        }

        func found(in pose: Pose, _ parts: Set<BodyPart>, _ x: Float, _ y: Float, of image: Image) -> Bool {
            parts.contains { part in
                guard let point = pose[part.rawValue] else { return false }
                let (dx, dy) = (point.x * Float(image.width) - x, point.y * Float(image.height) - y)
                return (dx * dx + dy * dy).squareRoot() < height / 10
            }
        }
    }

    private static let shoulders: Set<BodyPart> = [.rightShoulder, .leftShoulder]
    private static let hips: Set<BodyPart> = [.rightHip, .leftHip]
    private static let knees: Set<BodyPart> = [.rightKnee, .leftKnee]

    /// Shoulders, hips and knees that lie in the image. Of the fourth at the bus only an arm does.
    static let people: [String: [Person]] = [
        "footballer.jpg": [
            Person(
                275,
                sided: [
                    .rightShoulder: (192, 125), .leftShoulder: (275, 125), .rightHip: (245, 240), .leftHip: (292, 220),
                    .rightKnee: (232, 280), .leftKnee: (350, 252),
                ])
        ],
        "bus.jpg": [
            Person(
                500,
                sided: [
                    .rightShoulder: (82, 500), .leftShoulder: (168, 497), .rightHip: (92, 680), .leftHip: (150, 685),
                    .rightKnee: (85, 760), .leftKnee: (175, 760),
                ]),
            Person(
                450,
                sided: [
                    .rightShoulder: (250, 497), .leftShoulder: (325, 497), .rightHip: (262, 660), .leftHip: (312, 655),
                    .rightKnee: (258, 750), .leftKnee: (305, 735),
                ]),
            Person(480, sided: [:], either: [(shoulders, 798, 510), (hips, 785, 690), (knees, 768, 775)]),
        ],
        "coaches.jpg": [
            Person(520, sided: [.rightShoulder: (315, 385), .leftShoulder: (640, 420)]),
            Person(680, sided: [.rightShoulder: (810, 320), .leftShoulder: (1050, 340)]),
        ],
        "basketball.png": [
            Person(
                400,
                sided: [
                    .rightShoulder: (52, 158), .leftShoulder: (110, 158), .rightHip: (70, 285), .leftHip: (118, 285),
                    .rightKnee: (66, 375), .leftKnee: (118, 375),
                ]),
            // Half from behind: his hips lie too close together for a look to tell them apart.
            Person(
                460,
                sided: [
                    .leftShoulder: (540, 182), .rightShoulder: (618, 172), .rightHip: (570, 411), .leftHip: (570, 411),
                ]),
        ],
        "astronaut.png": [Person(500, sided: [.rightShoulder: (90, 268), .leftShoulder: (318, 266)])],
    ]

    /// How many are found of those who are smaller; the footballer has spectators.
    private static let smaller = ["footballer.jpg": 1]

    private func poses(_ name: String) throws -> (image: Image, poses: [Pose]) {
        let image = try Image(contentsOf: Photographs.path(name))
        let tensor = try Tensor(Image.planes(of: [image]), shape: [1, 3, image.height, image.width])
        return (image, try PoseFilter.make(.parse("{}", file: "filter.yaml")).people(in: tensor))
    }

    @Test(arguments: people.keys.sorted())
    func everybodysJointsAreFound(name: String) throws {
        let (image, poses) = try poses(name)
        let people = try #require(Self.people[name])
        for (index, person) in people.enumerated() {
            // All of one person's are of one pose.
            let missing = poses.map { pose in
                person.joints.filter { !person.found(in: pose, $0.parts, $0.x, $0.y, of: image) }
            }
            let best = missing.min { $0.count < $1.count }
            #expect(best?.isEmpty == true, "\(name), person \(index): \(best ?? person.joints)")
        }
        let strangers = Self.smaller[name] ?? 0
        // Nobody is made of nothing.
        #expect(poses.count == people.count + strangers)
    }

    @Test(arguments: ["cat.png", "coffee.png", "rocket.jpg"])
    func nobodyIsFoundWhereNobodyIs(name: String) throws {
        #expect(try poses(name).poses.isEmpty)
    }
}
