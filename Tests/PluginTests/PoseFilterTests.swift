import Failures
@testable import PoseFilter
import TestSupport
import Testing
import Torch

/// People out of maps, their drawing and a whole network, against `Tests/Goldens/write_pose_filter.py`.
@Suite struct PoseFilterTests {
    /// A network in the layout of OpenPose's COCO model whose people are the corners of bright rectangles.
    private static let corners = Golden.file("pose_corners.caffemodel")

    private func filter(_ parameters: String) throws -> PoseFilter {
        try .make(.parse("{\(parameters)}", file: "filter.yaml"))
    }

    private func cornerFilter(_ parameters: String = "resize: 160") throws -> PoseFilter {
        let description = Golden.file("pose_corners.prototxt")
        return try filter("weights: '\(Self.corners)', description: '\(description)', \(parameters)")
    }

    /// The peer's people: eighteen places in 0...1, or none.
    private func people(_ golden: Golden, _ name: String = "out.people") throws -> [Pose] {
        let table = try #require(golden.tensors[name])
        return (0..<table.shape[0]).map { person in
            (0..<18).map { part in
                let (x, y) = (table.floats[(person * 18 + part) * 2], table.floats[(person * 18 + part) * 2 + 1])
                return x < 0 ? nil : (x, y)
            }
        }
    }

    private func image(_ golden: Golden) throws -> Tensor {
        try #require(golden.tensors["in.picture"]).made().repeated([1, 3, 1, 1])
    }

    @Test func peopleInMapsAreThePeers() throws {
        let golden = try Golden("pose_filter")
        let found = try PoseDecoder().people(in: #require(golden.tensors["in.maps"]).made())
        try expect(found, are: people(golden), within: 1e-5)
    }

    private func expect(_ found: [Pose], are expected: [Pose], within bar: Float) throws {
        try #require(found.count == expected.count)
        let ordered = found.sorted { ($0[1]?.x ?? 0) < ($1[1]?.x ?? 0) }  // by the neck, as the peer's
        for (found, expected) in zip(ordered, expected) {
            #expect(found.map { $0 == nil } == expected.map { $0 == nil })
            for case (let found?, let expected?) in zip(found, expected) {
                #expect(abs(found.x - expected.x) < bar && abs(found.y - expected.y) < bar)
            }
        }
    }

    @Test func whoIsNotSureEnoughIsLeftOut() throws {
        let maps = try #require(Golden("pose_filter").tensors["in.maps"]).made()
        #expect(try PoseDecoder(leastParts: 14).people(in: maps).count == 2)
        #expect(try PoseDecoder(leastParts: 2, leastScore: 0).people(in: maps).count >= 4)
        #expect(try PoseDecoder(leastScore: 2).people(in: maps).isEmpty)
        #expect(try PoseDecoder(peakThreshold: 1).people(in: maps).isEmpty)
    }

    @Test func theDrawingIsThePeers() throws {
        let golden = try Golden("pose_filter")
        let people = try people(golden)
        let all = try PoseDrawing(stickWidth: 4, radius: 4).drawn(people, height: 45, width: 63)
        #expect(try largestDifference(all, #require(golden.tensors["out.drawing"]).made()) == 0)
        let wide = try PoseDrawing(stickWidth: 7, radius: 2).drawn([people[0]], height: 50, width: 70)
        #expect(try largestDifference(wide, #require(golden.tensors["out.drawing.wide"]).made()) == 0)
    }

    @Test func aNetworksPeopleAreThePeers() throws {
        let golden = try Golden("pose_filter")
        let (filter, image) = (try cornerFilter(), try image(golden))
        let found = try filter.people(in: image)
        // A maximum half way between two places falls to either: of 80 in the height, here.
        try expect(found, are: people(golden, "out.corners"), within: 1.1 / 80)
        let made = try filter(image, generator: Generator(seed: 1))
        let drawing = try PoseDrawing(stickWidth: 4, radius: 4).drawn(found, height: 60, width: 80)
        #expect(try largestDifference(made.condition, drawing) == 0)
        #expect(try largestDifference(made.preview, drawing) == 0)
    }

    @Test func drawingsGrowWithTheImageWhereThatIsAskedFor() throws {
        let image = try image(Golden("pose_filter"))
        func condition(_ parameters: String) throws -> [Float] {
            let filter = try cornerFilter("resize: 160, \(parameters)")
            return try filter(image, generator: Generator(seed: 1)).condition.values()
        }
        #expect(
            try condition("drawing_side: 30, stick_width: 2, radius: 3") == condition("stick_width: 4, radius: 6"))
        #expect(try condition("drawing_side: 120") == condition("stick_width: 2, radius: 2"))
    }

    @Test(arguments: [
        "resize: 127", "resize: 4096", "scales: []", "scales: [1, 1]", "scales: [0.5, 1]", "scales: 0.2",
        "scales: .nan",
        "weights: pose.pt", "peak_threshold: 2", "limb_threshold: -1", "least_parts: 1", "least_parts: 19",
        "least_score: .inf", "stick_width: -1", "radius: 300", "drawing_side: 0", "description: [1]",
    ])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) { try filter(parameters) }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }

    @Test(arguments: [("none.pb", "tf-pose"), ("none.caffemodel", "openpose")])
    func aMissingFileIsSaid(file: String, name: String) throws {
        let path = try Scratch()[file]
        let given = try filter("weights: '\(path)'")
        #expect(given.modelFiles.map(\.name) == [name] && given.modelFiles.map(\.isThere) == [false])
        let failure = try #require(throws: Failure.self) { try given.prepare() }
        #expect(failure.blame == .input && failure.place == .init(path))
        #expect(failure.expected != nil && failure.advice != nil)
    }

    @Test func missingDescriptionsAndOtherNetworksAreRefused() throws {
        let alone = try filter("weights: '\(Self.corners)'")
        let missing = try #require(throws: Failure.self) { try alone.prepare() }
        #expect(missing.blame == .input && missing.place == .init(Golden.file("pose_deploy_linevec.prototxt")))
        let scratch = try Scratch()
        try scratch.write(["weight": .init([1], [1])], to: "other.pb")
        let other = try #require(throws: Failure.self) {
            try filter("weights: '\(scratch["other.pb"])'").prepare()
        }
        #expect(other.blame == .input && other.place == .init(scratch["other.pb"]))
    }
}
