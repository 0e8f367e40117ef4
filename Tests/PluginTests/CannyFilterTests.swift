import CannyFilter
import Failures
import Settings
import TestSupport
import Testing
import Torch

@Suite struct CannyFilterTests {
    private func canny(_ parameters: String) throws -> CannyFilter {
        try CannyFilter.make(.parse(parameters, file: "filter.yaml"))
    }

    @Test(arguments: ["wide", "tall", "small"])
    func edgesAreThoseOfThePeer(name: String) throws {
        let golden = try Golden("canny_filter")
        let image = try #require(golden.tensors["in.\(name)"]).made()
        let expected = try #require(golden.tensors["out.\(name)"])
        let made = try canny("{}")(image, generator: Generator(seed: 1)).condition
        #expect(made.shape == expected.shape)
        let pairs = zip(try made.values(as: Float.self), expected.floats)
        #expect(pairs.count { abs($0 - $1) > 1e-3 } <= expected.floats.count / 200)
        #expect(expected.floats.count { $0 > 0.01 } > expected.floats.count / 50)
    }

    @Test func withoutResizeEdgesAreSharp() throws {
        let image = try #require(Golden("canny_filter").tensors["in.wide"]).made()
        let made = try canny("{resize: null}")(image, generator: Generator(seed: 1)).condition
        #expect(Set(try made.values(as: Float.self)) == [0, 1])
    }

    @Test(arguments: ["{resize: 0}", "{resize: 9000}", "{low_threshold: -1}", "{high_threshold: much}"])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) { try canny(parameters) }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }
}
