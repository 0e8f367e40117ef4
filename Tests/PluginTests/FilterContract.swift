import AdapterKit
import CannyFilter
import EdgeFilter
import Failures
import IdentityFilter
import InpaintFilter
import Models
import PoseFilter
import QRFilter
import Settings
import SuperResolutionFilter
import TestSupport
import Testing
import Torch

/// What every filter keeps; a new one is added here.
private let plugIns = PlugIns(
    filters: [
        CannyFilter.self, PidiFilter.self, IdentityFilter.self, InpaintFilter.self, PoseFilter.self, QRFilter.self,
        SRFilter.self, SREffnetFilter.self, SketchFilter.self,
    ], adapters: [])

@Suite struct FilterContract {
    static let names = plugIns.filters.map { $0.name }

    /// Filters whose condition is numbers of a network and no picture: finite, but not in 0...1.
    static let encoders: Set = ["SREffnetFilter", "IdentityFilter"]

    /// Chances that are drawn for each picture and not for a batch, fixed.
    static let fixed = ["IdentityFilter": "p_drop: 0, p_full: 0"]

    /// What filters cannot do without: files, and for networks with drawn weights faces of any size.
    private func needs(_ name: String) throws -> [String: String] {
        switch name {
        case "SREffnetFilter": ["effnet_checkpoint_path": try DrawnEncoder.path()]
        case "IdentityFilter":
            ["detector": Golden.file("faces.onnx"), "recognizer": Golden.file("identities.onnx"), "min_face": "1"]
        case "PidiFilter": ["weights": Golden.file("pidinet_narrow.pth")]
        case "PoseFilter":
            ["weights": Golden.file("pose_corners.caffemodel"), "description": Golden.file("pose_corners.prototxt")]
        default: [:]
        }
    }

    /// A filter with what it needs and further parameters, as in a YAML mapping without its braces.
    private func filter(_ name: String, _ parameters: String = "") throws -> any ControlFilter {
        let written = try [parameters].filter { !$0.isEmpty } + needs(name).map { "\($0): \($1)" }
        return try plugIns.filter(
            name, parameters: .parse("{" + written.joined(separator: ", ") + "}", file: "filter.yaml"))
    }

    /// Pictures with straight edges and a gradient, all of different shape and brightness.
    private func pictures(_ count: Int, _ height: Int, _ width: Int) throws -> Tensor {
        let values = (0..<count * 3 * height * width).map { index -> Float in
            let (x, y) = (index % width, index / width % height)
            let (channel, picture) = (index / (width * height) % 3, index / (3 * width * height))
            let isInside = x > width / 4 + picture && x < width * 3 / 4 && y > height / 4 && y < height * 2 / 3
            return isInside ? 0.9 - 0.1 * Float(channel) - 0.05 * Float(picture) : 0.3 * Float(x) / Float(width)
        }
        return try Tensor(values, shape: [count, 3, height, width])
    }

    private func expectSound(_ filter: any ControlFilter, _ pictures: Tensor) throws {
        let made = try filter(pictures, generator: Generator(seed: 1))
        let (condition, preview) = (made.condition, made.preview)
        #expect(condition.rank == 4 && condition.size(0) == pictures.size(0) && condition.size(1) == filter.channels)
        #expect(condition.size(2) > 0 && condition.size(3) > 0)
        #expect(preview.shape == pictures.shape)
        let isPicture = !Self.encoders.contains(type(of: filter).name)
        for tensor in isPicture ? [condition, preview] : [preview] {
            let values = try tensor.values(as: Float.self)
            #expect(values.allSatisfy { (0...1).contains($0) })
        }
        #expect(try condition.isAllFinite())
    }

    @Test(arguments: names, [[1, 8, 8], [2, 64, 64], [1, 40, 96], [3, 97, 31], [1, 1, 1]])
    func pictureOfAnySizeHasAConditionInRange(name: String, shape: [Int]) throws {
        try expectSound(filter(name), pictures(shape[0], shape[1], shape[2]))
    }

    @Test(arguments: names)
    func evenGreyIsNoTrouble(name: String) throws {
        for grey in [0, 0.5, 1] { try expectSound(filter(name), .full([1, 3, 32, 48], grey)) }
    }

    @Test(arguments: names)
    func aSeedRepeatsTheCondition(name: String) throws {
        let (filter, pictures) = (try filter(name), try pictures(2, 48, 64))
        let first = try filter(pictures, generator: Generator(seed: 3))
        let second = try filter(pictures, generator: Generator(seed: 3))
        #expect(try first.condition.values(as: Float.self) == second.condition.values(as: Float.self))
        #expect(try first.preview.values(as: Float.self) == second.preview.values(as: Float.self))
    }

    @Test(arguments: names)
    func aBatchIsItsPicturesOneByOne(name: String) throws {
        let (filter, pictures) = (try filter(name, Self.fixed[name] ?? ""), try pictures(3, 48, 64))
        let whole = try filter(pictures, generator: Generator(seed: 4)).condition
        for index in 0..<3 {
            let one = try filter(pictures.sliced(0, index..<index + 1), generator: Generator(seed: 4)).condition
            let expected = try whole.sliced(0, index..<index + 1).contiguous()
            // A network may sum up in another order where pictures are more.
            let bar = Self.encoders.contains(name) ? 1e-4 : 0
            #expect(try largestDifference(one, expected) <= bar)
        }
        // The pictures differ, so one filtered for another would show.
        #expect(try (whole.selected(0, 0) - whole.selected(0, 2)).abs().sum().item() > 0)
    }

    @Test(arguments: names)
    func threadsShareAFilter(name: String) async throws {
        let (filter, values) = (try filter(name), try pictures(1, 48, 64).values(as: Float.self))
        @Sendable func condition() throws -> [Float] {
            try filter(Tensor(values, shape: [1, 3, 48, 64]), generator: Generator(seed: 4)).condition.values()
        }
        let made = try await withThrowingTaskGroup(of: [Float].self) { group in
            for _ in 0..<4 { group.addTask { try condition() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let alone = try condition()
        #expect(made.count == 4 && made.allSatisfy { $0 == alone })
    }

    /// The parameters that a filter lists for people.
    private func listed(_ name: String) -> [FilterParameter] {
        plugIns.filters.first { $0.name == name }?.parameters ?? []
    }

    @Test(arguments: names)
    func anUnknownParameterIsRefusedWithTheNearestName(name: String) throws {
        for parameter in listed(name).map(\.name) {
            let failure = try #require(throws: Failure.self) { try filter(name, "\(parameter)x: 1") }
            #expect(failure.blame == .input && failure.what.contains("\(parameter)x"))
            #expect(failure.place == .init("filter.yaml", line: 1, column: 2))
            #expect(failure.advice?.contains("\"\(parameter)\"") == true)
        }
    }

    @Test(arguments: names)
    func theDefaultsListedAreTheDefaults(name: String) throws {
        let pictures = try pictures(1, 48, 64)
        let needs = try needs(name)
        let defaults = listed(name).filter { needs[$0.name] == nil }.map { "\($0.name): \($0.defaultValue)" }
            .joined(separator: ", ")
        let (written, plain) = (try filter(name, defaults), try filter(name))
        let stated = try written(pictures, generator: Generator(seed: 3)).condition
        let unstated = try plain(pictures, generator: Generator(seed: 3)).condition
        #expect(try stated.values(as: Float.self) == unstated.values(as: Float.self))
    }

    @Test(arguments: names)
    func theModelsThatAFilterTakesAreDeclared(name: String) throws {
        let type = try #require(plugIns.filters.first { $0.name == name })
        let taken = try type.make(.parse("", file: "filter.yaml")).modelFiles + filter(name).modelFiles
        #expect(Set(taken.map(\.name)).isSubset(of: type.models.map(\.name)))
        #expect(Set(type.models.map(\.name)).count == type.models.count)
    }

    @Test(arguments: names)
    func everyPackageIsPinned(name: String) throws {
        for model in try #require(plugIns.filters.first { $0.name == name }).models {
            guard case .package(let package) = model.source else { continue }
            for digest in [package.sha256] + package.files.map(\.sha256) {
                #expect(digest.count == 64 && digest.allSatisfy { $0.isHexDigit && !$0.isUppercase })
            }
            #expect(!package.files.isEmpty && Set(package.files.map(\.name)).count == package.files.count)
            let megabytes = package.files.reduce(0) { $0 + $1.bytes } / 1_000_000
            #expect(abs(megabytes - (model.megabytes ?? 0)) <= 1)
        }
    }

    @Test func anUnknownFilterIsRefusedWithTheNearestName() throws {
        let failure = try #require(throws: Failure.self) { try filter("CannyFilte") }
        #expect(failure.blame == .input && failure.expected == Self.names.joined(separator: ", "))
        #expect(failure.advice == "did you mean `CannyFilter`?")
    }
}

@Suite struct CannyFilterTests {
    private func canny(_ parameters: String) throws -> CannyFilter {
        try CannyFilter.make(.parse(parameters, file: "filter.yaml"))
    }

    @Test(arguments: ["wide", "tall", "small"])
    func edgesAreThoseOfThePeer(name: String) throws {
        let golden = try Golden("canny_filter")
        let picture = try #require(golden.tensors["in.\(name)"]).made()
        let expected = try #require(golden.tensors["out.\(name)"])
        let made = try canny("{}")(picture, generator: Generator(seed: 1)).condition
        #expect(made.shape == expected.shape)
        let pairs = zip(try made.values(as: Float.self), expected.floats)
        #expect(pairs.count { abs($0 - $1) > 1e-3 } <= expected.floats.count / 200)
        #expect(expected.floats.count { $0 > 0.01 } > expected.floats.count / 50)
    }

    @Test func withoutResizeEdgesAreSharp() throws {
        let picture = try #require(Golden("canny_filter").tensors["in.wide"]).made()
        let made = try canny("{resize: null}")(picture, generator: Generator(seed: 1)).condition
        #expect(Set(try made.values(as: Float.self)) == [0, 1])
    }

    @Test(arguments: ["{resize: 0}", "{resize: 9000}", "{low_threshold: -1}", "{high_threshold: much}"])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) { try canny(parameters) }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }
}
