import COpenCV
import Failures
import QRFilter
import TestSupport
import Testing
import Torch

@Suite struct QRFilterTests {
    private func filter(_ parameters: String) throws -> QRFilter {
        try QRFilter.make(.parse(parameters, file: "filter.yaml"))
    }

    private func noise(_ shape: [Int]) throws -> Tensor { try Generator(seed: 7).uniform(shape) }

    private func condition(_ parameters: String, _ images: Tensor, seed: UInt64 = 1) throws -> [Float] {
        try filter(parameters)(images, generator: Generator(seed: seed)).condition.values()
    }

    @Test(arguments: ["face", "cat", "rocket", "both"])
    func theMaskIsThatOfThePeer(name: String) throws {
        let golden = try Golden("qr_filter")
        let images = try #require(golden.tensors["in.\(name)"]).made()
        let expected = try #require(golden.tensors["out.\(name)"])
        let made = try filter(#require(golden.metadata["parameters.\(name)"]))(
            images, generator: Generator(seed: 1)
        ).condition
        #expect(try largestDifference(made, expected.made()) < 1e-4)
        for level: Float in [0, 0.5, 1] { #expect(expected.floats.contains(level)) }
    }

    @Test(arguments: [
        ("{}", true), ("{blobify: false}", false), ("{dilation_kernels: 5, blur_sigma: 1}", false),
        ("{dilation_kernels: 5}", true), ("{blur_sigma: 1}", true),
    ])
    func withAllFixedNothingIsDrawn(parameters: String, isDrawn: Bool) throws {
        let generator = try Generator(seed: 1)
        let made = try generator.watching { try filter(parameters)(noise([1, 3, 32, 32]), generator: generator) }
        #expect(made.hasDrawn == isDrawn)
    }

    @Test func theGeneratorChoosesKernelsAndDeviation() throws {
        let image = try noise([1, 3, 64, 64])
        for parameters in [
            "{resize: null, dilation_kernels: [0, 9], blur_kernels: 3, blur_sigma: 1}",
            "{resize: null, dilation_kernels: 0, blur_kernels: [0, 21], blur_sigma: 2}",
            "{resize: null, dilation_kernels: 0, blur_kernels: 9, blur_sigma: [0.1, 4]}",
        ] {
            let made = Set(try (0..<12).map { try condition(parameters, image, seed: $0) })
            #expect(made.count > 1, "\(parameters)")
        }
        let fixed = "{resize: null, dilation_kernels: 5, blur_kernels: 9, blur_sigma: 1.5}"
        #expect(Set(try (0..<4).map { try condition(fixed, image, seed: $0) }).count == 1)
    }

    @Test func withoutBlobsNothingIsLeftToChance() throws {
        let image = try noise([1, 3, 32, 32])
        #expect(Set(try (0..<4).map { try condition("{resize: null, blobify: false}", image, seed: $0) }).count == 1)
    }

    /// A dark image's limits are its own, whichever images stand beside it.
    @Test func aDarkImageKeepsItsLimitsBesideABrightOne() throws {
        let bright = try noise([1, 3, 40, 40])
        let dark = try bright * 0.2
        let both = try condition("{blobify: false}", .concatenated([bright, dark], dimension: 0))
        #expect(Set(both.suffix(1600)).isSuperset(of: [0, 0.5, 1]))
    }

    @Test(arguments: [
        "{resize: 0}", "{dilation_kernels: []}", "{dilation_kernels: [3, -1]}", "{dilation_kernels: 102}",
        "{blur_kernels: [15, 4]}", "{blur_kernels: 9223372036854775807}", "{blur_sigma: 0}", "{blur_sigma: [2, 1]}",
        "{blur_sigma: [1, 2, 3]}", "{blobify: perhaps}", "{blur_sigma: .nan}", "{resize: [224]}",
    ])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) { try filter(parameters) }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }

    @Test func anImageSmallerThanTheBellIsMirroredOverAndOver() throws {
        let parameters = "{resize: null, blur_kernels: 101, blur_sigma: 100, dilation_kernels: 101}"
        for (height, width) in [(1, 1), (1, 9), (2, 3)] {
            #expect(try condition(parameters, noise([1, 3, height, width])).count == height * width)
        }
    }

    /// The edge of the door that no parameter reaches.
    @Test func theDoorRefusesElementsAndPlanesThatCannotBe() {
        var made: [Float] = [0]
        for (side, width) in [(2, 1), (256, 1), (3, 0), (3, 40000)] {
            var message = [CChar](repeating: 0, count: 64)
            let status = cascade_morph(
                [0], 1, width, side, CASCADE_CV_EROSION, &made, &message, message.count)
            #expect(status == CASCADE_CV_BAD_SIZE && message[0] != 0)
        }
    }
}
