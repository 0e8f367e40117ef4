import AdapterKit
import Failures
import Images
import JSON
import Settings
import TestSupport
import Testing
import Torch

@testable import IdentityFilter

/// The user's networks, as files of their layout with drawn weights.
private let ownModels = "detector: \(Golden.file("faces.onnx")), recognizer: \(Golden.file("identities.onnx"))"

private func filter(_ parameters: String) throws -> IdentityFilter {
    try .make(.parse("{\(parameters)}", file: "filter.yaml"))
}

@Suite struct IdentityFilterTests {
    private let golden: Golden

    init() throws { golden = try Golden("identity_filter") }

    private func tensor(_ key: String) throws -> Tensor { try #require(golden.tensors[key]).made() }

    private func image(_ name: String) throws -> Image {
        let bytes = try (tensor("in.\(name)") * 255).to(dtype: .uint8).selected(0, 0).permuted([1, 2, 0])
        return Image(width: bytes.size(1), height: bytes.size(0), pixels: try bytes.contiguous().values())
    }

    @Test(arguments: ["wide", "tall"])
    func boxesAndLandmarksAreThePeers(name: String) throws {
        let faces = try filter(ownModels).models.networks().detector.faces(in: image(name))
        let boxes = faces.flatMap { [$0.box.left, $0.box.top, $0.box.right, $0.box.bottom] }.map(Float.init)
        let points = faces.flatMap { $0.landmarks.flatMap { [$0.x, $0.y] } }.map(Float.init)
        let (count, scores) = (faces.count, faces.map { Float($0.score) })
        #expect(try largestDifference(Tensor(scores, shape: [count]), tensor("out.scores.\(name)")) < 1e-4)
        #expect(try largestDifference(Tensor(boxes, shape: [count, 4]), tensor("out.boxes.\(name)")) < 0.01)
        #expect(try largestDifference(Tensor(points, shape: [count, 5, 2]), tensor("out.landmarks.\(name)")) < 0.01)
    }

    @Test(arguments: ["wide", "tall"])
    func facesAreTurnedUprightAndToldApartAsByThePeer(name: String) throws {
        let (networks, image) = (try filter(ownModels).models.networks(), try image(name))
        let expected = try tensor("out.identities.\(name)")
        let faces = try networks.detector.faces(in: image).prefix(expected.size(0))
        let identities = try faces.flatMap { try networks.recognizer.embedding(of: $0, in: image) }
        #expect(try largestDifference(Tensor(identities, shape: [faces.count, 512]), expected) < 1e-3)
    }

    @Test(arguments: ["wide", "tall"])
    func theGridIsThePeers(name: String) throws {
        let filter = try filter("\(ownModels), p_drop: 0, min_face: 1")
        let made = try filter(tensor("in.\(name)"), generator: Generator(seed: 1))
        #expect(try largestDifference(made.condition, tensor("out.grid.\(name)")) < 1e-3)
    }

    @Test func everyFaceMayBeDroppedAndOneMayStandEverywhere() throws {
        let images = try tensor("in.wide")
        let dropped = try filter("\(ownModels), p_drop: 1")(images, generator: Generator(seed: 1))
        #expect(try dropped.condition.abs().sum().item() == 0)
        #expect(try largestDifference(dropped.preview, images) == 0)

        // One of several may not; the only one that counts may.
        func condition(_ limit: Int, _ full: Int) throws -> Tensor {
            let parameters = "\(ownModels), min_face: 1, max_faces: \(limit), p_drop: 0, p_full: \(full)"
            return try filter(parameters)(images, generator: Generator(seed: 1)).condition
        }
        #expect(try largestDifference(condition(2, 0), condition(2, 1)) == 0)
        let (plain, full) = (try condition(1, 0), try condition(1, 1))
        #expect(try largestDifference(plain, full) > 0)
        let lengths = try (full * full).sum([1]).values(as: Float.self)
        #expect(lengths.allSatisfy { abs($0 - 1) < 1e-4 })
        for axis in [2, 3] {
            let first = try full.selected(axis, 0)
            for index in 0..<full.size(axis) {
                #expect(try largestDifference(full.selected(axis, index), first) == 0)
            }
        }
    }

    @Test(arguments: [
        // Left, right, and the columns of eight that are covered.
        (0.0, 32.0, 0..<1), (40, 50, 1..<2), (15.9, 47, 0..<1), (48.2, 80, 2..<3), (16, 49, 0..<2),
        (-90, 20, 0..<1), (240, 400, 8..<8), (230, 400, 7..<8), (-1e9, 1e9, 0..<8),
    ])
    func aBoxCoversTheCellsOfTheReference(left: Double, right: Double, columns: Range<Int>) {
        // Whole pixels in 32nds, halves to the even cell, at least one cell: worked out by hand.
        let grid = IdentityGrid(width: 256, height: 32, stride: 32)
        let cells = grid.cells(of: Box(left: left, top: 0, right: right, bottom: 32))
        #expect(cells.columns == columns && cells.rows == 0..<1)
    }

    @Test func aBoxThatIsNowhereCoversNothing() {
        let grid = IdentityGrid(width: 256, height: 32, stride: 32)
        let cells = grid.cells(of: Box(left: .nan, top: .infinity, right: .nan, bottom: .infinity))
        #expect(cells.rows.isEmpty || cells.columns == 0..<1)
        #expect(PixelWindow(countedFromOne: Box(left: .nan, top: 0, right: 5, bottom: 5)) == nil)
        #expect(PixelWindow(countedFromOne: Box(left: 1, top: 1, right: 1e300, bottom: 5)) == nil)
    }

    @Test func thirteenFacesAndMoreHaveColours() throws {
        var grid = IdentityGrid(width: 64, height: 64, stride: 32)
        let identity = [Float](repeating: 1, count: embeddingSize)
        for number in 0..<30 { grid.write(identity, number: number, in: grid.all) }
        let values = try grid.preview(over: .full([3, 64, 64], 1)).values(as: Float.self)
        #expect(values.allSatisfy { (0...1).contains($0) })
    }

    @Test(arguments: [
        "{p_drop: 2}", "{p_full: -1}", "{max_faces: -1}", "{min_face: 0}", "{recognizer: [a]}",
    ])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) {
            try IdentityFilter.make(.parse(parameters, file: "filter.yaml"))
        }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }

    @Test(arguments: [("{max_faces: ~}", JSON.null), ("{max_faces: 0}", 0), ("{}", 4)])
    func `a number of faces stands among the values in effect as it was meant`(parameters: String, expected: JSON)
        throws
    {
        let values = EffectiveValues()
        let setting = try Setting.parse(parameters, file: "filter.yaml")
        _ = try IdentityFilter.make(setting.gathered(by: values))
        #expect(values.json(setting.json)["max_faces"] == expected)
    }

    @Test(arguments: [
        // The two of the user's swapped, a file of something else, none at all.
        ("identities.onnx", "faces.onnx"), ("write_canny_filter.py", "identities.onnx"), ("none.onnx", "none.onnx"),
        ("inference.onnx", "inference.onnx"), ("faces.onnx", "inference.onnx"), ("faces.onnx", "keys.json"),
    ])
    func aFileThatIsNoneOfItsKindIsRefused(detector: String, recognizer: String) throws {
        let own = "detector: \(Golden.file(detector)), recognizer: \(Golden.file(recognizer))"
        let images = try tensor("in.wide")
        let failure = try #require(throws: Failure.self) {
            let filter = try filter("\(own), p_drop: 0")
            try filter.prepare()
            _ = try filter(images, generator: Generator(seed: 1))
        }
        #expect(failure.blame == .input && failure.place?.file.hasPrefix(Golden.file("")) == true)
    }

    @Test func theFilesOfTheNetworksAreListed() throws {
        #expect(try filter(ownModels).modelFiles.map(\.name) == ["buffalo-l", "buffalo-l", "onnxruntime"])
        #expect(try filter("").modelFiles.map(\.name) == ["mtcnn", "facenet"])
    }
}
