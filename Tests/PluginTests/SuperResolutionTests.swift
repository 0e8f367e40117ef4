import AdapterKit
import Failures
import Settings
import SuperResolutionFilter
import TestSupport
import Testing
import Torch

@Suite struct SuperResolutionTests {
    @Test(arguments: ["quarter", "uneven", "third", "tenth", "most", "half"])
    func theCoarseImageIsThatOfThePeer(name: String) throws {
        let golden = try Golden("super_resolution")
        let images = try #require(golden.tensors["in.\(name)"]).made()
        let factor = try #require(golden.tensors["factor.\(name)"]?.floats.first)
        let made = try SRFilter.make(.parse("{scale_factor: \(factor)}", file: "filter.yaml"))(
            images, generator: Generator(seed: 1))
        let expected = try #require(golden.tensors["out.\(name)"])
        #expect(made.condition.shape == expected.shape)
        #expect(try made.condition.values(as: Float.self) == expected.floats)
        // The preview shows the same and reaches to the image's border.
        let seen = try made.preview.sliced(2, 0..<expected.shape[2]).sliced(3, 0..<expected.shape[3]).contiguous()
        #expect(made.preview.shape == images.shape)
        #expect(try seen.values(as: Float.self) == expected.floats)
    }

    @Test func theLatentsAreThoseOfThePeer() throws {
        let golden = try Golden("super_resolution")
        let images = try #require(golden.tensors["in.effnet"]).made()
        let filter = try SREffnetFilter.make(
            .parse("{effnet_checkpoint_path: \(DrawnEncoder.path())}", file: "filter.yaml"))
        let made = try filter(images, generator: Generator(seed: 1))
        let expected = try #require(golden.tensors["out.effnet"]).made()
        // The peer's numbers have a deviation of 1.
        #expect(try largestDifference(made.condition, expected) < 1e-3)
        #expect(filter.channels == 16 && made.condition.shape == [2, 16, 2, 4])
    }

    @Test func oneFilterServesSeveralThreads() async throws {
        let filter = try SREffnetFilter.make(
            .parse("{effnet_checkpoint_path: \(DrawnEncoder.path())}", file: "filter.yaml"))
        let made = try await withThrowingTaskGroup(of: [Float].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let image = try Generator(seed: 2).uniform([1, 3, 64, 64])
                    return try filter(image, generator: Generator(seed: 1)).condition.values()
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(made.count == 1)
    }

    @Test func aMissingFileIsRefusedBeforeTheFirstImageWithTheCommandThatGetsIt() throws {
        let path = "nowhere/encoder.safetensors"
        let filter = try SREffnetFilter.make(.parse("{effnet_checkpoint_path: \(path)}", file: "filter.yaml"))
        let failure = try expectedFailure { try filter.prepare() }
        #expect(failure.blame == .input && failure.place == .init(path))
        #expect(failure.expected == "effnet_encoder.safetensors")
        #expect(failure.advice == "cascade-adapt models get effnet -o \(path)")
        #expect(filter.modelFiles == [.init(name: "effnet", path: path, isThere: false)])
    }

    @Test func aFileOfSomethingElseIsRefused() throws {
        let scratch = try Scratch()
        try scratch.write(["stray": .init([1], [1])], to: "stray.safetensors")
        try scratch.write("no tensors", to: "text.safetensors")
        for name in ["stray", "text"] {
            let filter = try SREffnetFilter.make(
                .parse("{effnet_checkpoint_path: \(scratch["\(name).safetensors"])}", file: "filter.yaml"))
            let failure = try expectedFailure {
                _ = try filter(.zeros([1, 3, 64, 64]), generator: Generator(seed: 1))
            }
            #expect(failure.blame == .input)
        }
    }

    @Test(arguments: ["0", "0.001", "1.5", "-1", ".nan", "1/4", "[0.5]"])
    func aFactorThatCannotBeIsRefused(factor: String) throws {
        let setting = try Setting.parse("{scale_factor: \(factor)}", file: "filter.yaml")
        for make in [{ try SRFilter.make($0) }, { try SREffnetFilter.make($0) }] as [(Setting) throws -> any Sendable] {
            let failure = try expectedFailure { _ = try make(setting) }
            #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
        }
    }
}
