import Images
import Settings
import TestSupport
import Testing

@testable import IdentityFilter

/// The default face networks on real photographs.
@Suite struct FaceTests {
    /// A face that a look confirms, in parts of the photograph's width and height.
    private struct Seen {
        let x: Double
        let y: Double
        /// The side of a square about it, in parts of the width.
        let side: Double
        let person: String

        init(_ x: Double, _ y: Double, _ side: Double, _ person: String) {
            self.x = x
            self.y = y
            self.side = side
            self.person = person
        }
    }

    /// All faces of over 48 pixels in the photographs, found by eye; the blurred half of a face at the edge of
    /// `obama2.jpg` is none. Smaller ones need not be found.
    private static let photographs: [String: [Seen]] = [
        "astronaut.png": [Seen(0.44, 0.23, 0.2, "astronaut")],
        "admiral.jpg": [Seen(0.52, 0.40, 0.4, "admiral")],
        "biden.jpg": [Seen(0.6, 0.17, 0.35, "biden")],
        "obama.jpg": [Seen(0.54, 0.23, 0.33, "obama")],
        "obama2.jpg": [Seen(0.54, 0.36, 0.55, "obama")],
        "obama3.jpg": [Seen(0.55, 0.19, 0.22, "obama")],
        "obama-cut.jpg": [Seen(0.22, 0.22, 0.57, "obama")],
        "obama-cut2.jpg": [Seen(0.86, 0.22, 0.5, "obama")],
        "six-friends.jpg": [
            Seen(0.09, 0.37, 0.09, "rachel"), Seen(0.25, 0.24, 0.09, "monica"), Seen(0.41, 0.38, 0.09, "ross"),
            Seen(0.62, 0.46, 0.09, "chandler"), Seen(0.75, 0.15, 0.09, "joey"), Seen(0.92, 0.38, 0.09, "phoebe"),
        ],
        "actor.png": [Seen(0.4, 0.53, 0.9, "actor")],
        "coaches.jpg": [Seen(0.77, 0.27, 0.12, "coach"), Seen(0.48, 0.48, 0.11, "other coach")],
        "didgeridoo.webp": [Seen(0.52, 0.19, 0.16, "didgeridoo")],
        "mariachi.webp": [
            Seen(0.16, 0.24, 0.06, "violin"), Seen(0.4, 0.25, 0.07, "trumpet"), Seen(0.66, 0.46, 0.07, "trumpet 2"),
            Seen(0.75, 0.49, 0.1, "guitar"), Seen(0.87, 0.53, 0.17, "guitar 2"),
        ],
        "bus.jpg": [], "cat.png": [], "colosseum.webp": [], "baboon.jpg": [],
    ]

    /// Photographs at the size at which images are trained on; the detector then finds the same in less time.
    private static func image(_ name: String) throws -> Image {
        let image = try Image(contentsOf: Photographs.path(name))
        let longSide = max(image.width, image.height)
        guard longSide > 1024 else { return image }
        return image.resized(
            width: image.width * 1024 / longSide, height: image.height * 1024 / longSide)
    }

    @Test(arguments: ["{min_face: 40}", "{min_face: 40, detector: centerface}"])
    func everyLargeFaceIsFoundAndEveryPersonIsNearestToThemself(parameters: String) throws {
        let models = try IdentityFilter.make(.parse(parameters, file: "filter.yaml")).models
        let networks = try models.networks()
        var known: [(person: String, identity: [Float])] = []
        for (name, seen) in Self.photographs.sorted(by: { $0.key < $1.key }) {
            let image = try Self.image(name)
            let (width, height) = (Double(image.width), Double(image.height))
            var found = try networks.detector.faces(in: image).filter { min($0.box.width, $0.box.height) > 48 }
            for person in seen {
                let index = found.firstIndex { face in
                    let (x, y) = ((face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2)
                    let side = max(face.box.width, face.box.height) / person.side / width
                    return max(abs(x - person.x * width), abs(y - person.y * height)) < person.side * width / 3
                        && side > 0.6 && side < 1.7
                }
                let face = found.remove(at: try #require(index, "\(person.person) in \(name), found \(found)"))
                known.append((person.person, try networks.recognizer.embedding(of: face, in: image)))
            }
            #expect(found.isEmpty, "faces that are none in \(name)")
        }
        #expect(known.count == 23)

        func similarities(_ isSame: Bool) -> [Float] {
            known.indices.flatMap { first in
                known[..<first].filter { ($0.person == known[first].person) == isSame }
                    .map { zip($0.identity, known[first].identity).reduce(0) { $0 + $1.0 * $1.1 } }
            }
        }
        let (same, others) = (similarities(true), similarities(false))
        #expect(same.count == 10 && others.count == 243)
        #expect(same.min() ?? 0 > others.max() ?? 1, "\(same.sorted().first ?? 0) and \(others.sorted().last ?? 0)")
        #expect(known.allSatisfy { abs($0.identity.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4 })
    }

    @Test(arguments: ["astronaut.png", "coffee.png", "obama3.jpg", "six-friends.jpg"])
    func centerFaceSeesWhatItsPeerSees(name: String) throws {
        let expected = try #require(Golden("centerface").tensors["faces.\(name)"])  // [faces, 15]
        let models = FaceModels(detector: "centerface", recognizer: nil, leastFace: 1)
        let found = try models.networks().detector.faces(in: Image(contentsOf: Photographs.path(name)))
        #expect(found.count == expected.shape[0])
        for (face, row) in zip(found, stride(from: 0, to: expected.floats.count, by: 15)) {
            let numbers = expected.floats[row..<row + 15].map(Double.init)
            let places = [face.box.left, face.box.top, face.box.right, face.box.bottom]
            let landmarks = face.landmarks.flatMap { [$0.x, $0.y] }
            // In pixels; the two resize by versions of OpenCV that round some bytes differently.
            #expect(zip(places, numbers[..<4]).allSatisfy { abs($0 - $1) < 0.5 }, "\(places)")
            #expect(zip(landmarks, numbers[5...]).allSatisfy { abs($0 - $1) < 0.5 }, "\(landmarks)")
            #expect(abs(face.score - numbers[4]) < 1e-2)
        }
    }
}
