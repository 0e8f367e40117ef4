import Failures
import Images
@testable import InpaintFilter
import TestSupport
import Testing
import Torch
import Weights

/// The filter and its network, against `Tests/Goldens/write_inpaint_filter.py`.
@Suite struct InpaintFilterTests {
    private func filter(_ parameters: String) throws -> InpaintFilter {
        try .make(.parse("{\(parameters)}", file: "filter.yaml"))
    }

    /// A file of the reference's saliency network, its weights drawn from their names.
    private func weights(_ golden: Golden, in scratch: Scratch) throws -> String {
        let tensors = try golden.drawnTensors()
        #expect(tensors.reduce(0) { $0 + $1.tensor.count } == 111_233)
        try SafetensorsWriter.write(tensors.map { ($0.name, $0.tensor) }, to: scratch["saliency.safetensors"])
        return scratch["saliency.safetensors"]
    }

    private func image(_ golden: Golden, _ name: String) throws -> Tensor {
        try #require(golden.tensors["in.\(name)"]).made()
    }

    @Test(arguments: [
        ("", true), ("threshold: 0.2", true), ("p_outpaint: 0", true), ("threshold: 0.2, p_outpaint: 0", false),
        ("threshold: 0.2, p_outpaint: 1", false),
    ])
    func withAllFixedNothingIsDrawn(parameters: String, isDrawn: Bool) throws {
        let generator = try Generator(seed: 1)
        let made = try generator.watching { try filter(parameters)(.zeros([1, 3, 32, 32]), generator: generator) }
        #expect(made.hasDrawn == isDrawn)
    }

    @Test(arguments: ["wide", "tall"])
    func saliencyIsThePeers(name: String) throws {
        let (golden, scratch) = (try Golden("inpaint_filter"), try Scratch())
        let found = try withoutGradients {
            try filter("saliency: '\(weights(golden, in: scratch))'").saliency(image(golden, name))
        }
        #expect(try largestDifference(found, #require(golden.tensors["out.saliency.\(name)"]).made()) < 2e-4)
    }

    @Test(arguments: [("wide", 0), ("tall", 1)])
    func whatIsCutOutIsThePeers(name: String, outpaint: Int) throws {
        let (golden, scratch) = (try Golden("inpaint_filter"), try Scratch())
        let threshold = try #require(golden.metadata["threshold.\(name)"])
        let filter = try filter(
            "saliency: '\(weights(golden, in: scratch))', thresold: \(threshold), p_outpaint: \(outpaint)")
        #expect(filter.remark?.contains("network") == true)
        let image = try image(golden, name)
        let made = try filter(image, generator: Generator(seed: 1))
        let mask = try #require(golden.tensors["out.mask.\(name)"]).made()
        #expect(try largestDifference(made.condition.sliced(1, 3..<4), mask) < 1e-4)
        let expected = try mask.equals(1).choose(.full(image.shape, 1), image)
        #expect(try largestDifference(made.condition.sliced(1, 0..<3), expected) < 1e-4)
        #expect(try largestDifference(made.preview, expected) < 1e-4)
    }

    @Test func withoutAFileWhatStandsOutIsFoundByOpenCV() throws {
        // A bright square on an even ground.
        let side = 160
        let values = (0..<3 * side * side).map { index -> Float in
            let (x, y) = (index % side, index / side % side)
            return (48..<112).contains(x) && (48..<112).contains(y) ? 0.9 : 0.2
        }
        let image = try Tensor(values, shape: [1, 3, side, side])
        func hole(_ parameters: String) throws -> [Float] {
            let filter = try filter(parameters)
            #expect(filter.remark?.contains("OpenCV") == true)
            return try filter(image, generator: Generator(seed: 1)).condition.sliced(1, 3..<4).values()
        }
        let inside = try hole("threshold: 0.2, p_outpaint: 0")
        #expect(inside[80 * side + 80] == 1 && inside[0] == 0 && inside[side * side - 1] == 0)
        #expect(try hole("threshold: 0.2, p_outpaint: 1") == inside.map { 1 - $0 })
    }

    @Test func aGivenMaskIsTaken() throws {
        let scratch = try Scratch()
        var pixels = [UInt8](repeating: 0, count: 4 * 2 * 3)
        for index in 0..<6 { pixels[index] = 255 }
        try Image(width: 4, height: 2, pixels: pixels).write(to: scratch["mask.png"])
        let filter = try filter("mask: '\(scratch["mask.png"])'")
        let made = try filter(.full([2, 3, 4, 8], 0.5), generator: Generator(seed: 1)).condition
        let row: [Float] = [1, 1, 1, 1, 0, 0, 0, 0]
        let mask = row + row + [Float](repeating: 0, count: 16)
        #expect(try made.selected(0, 1).selected(0, 3).values(as: Float.self) == mask)
        #expect(try made.selected(0, 0).selected(0, 0).values(as: Float.self) == mask.map { $0 == 1 ? 1 : 0.5 })
    }

    @Test func aMaskForEachImageIsCutOut() throws {
        let filter = try filter("threshold: 0.2")
        #expect(InpaintFilter.takesMasks)
        let masks: [Float] = [1, 0.6, 0.5, 0, 0, 0, 1, 1]
        let generator = try Generator(seed: 1)
        let (made, isDrawn) = try generator.watching {
            try filter(
                .full([2, 3, 2, 2], 0.25), masks: Tensor(masks, shape: [2, 1, 2, 2]), generator: generator)
        }
        let expected: [Float] = [1, 1, 0, 0, 0, 0, 1, 1]
        #expect(!isDrawn)
        #expect(try made.condition.sliced(1, 3..<4).values(as: Float.self) == expected)
        for channel in 0..<3 {
            let plane: [Float] = try made.condition.sliced(1, channel..<channel + 1).values()
            #expect(plane == expected.map { $0 == 1 ? 1 : 0.25 })
            #expect(try made.preview.sliced(1, channel..<channel + 1).values(as: Float.self) == plane)
        }
    }

    @Test func aMaskThatTellsNothingIsSaid() throws {
        let scratch = try Scratch()
        for (grey, says) in [(0, "nothing"), (255, "all")] as [(UInt8, String)] {
            try Image(width: 4, height: 2, colour: (grey, grey, grey)).write(to: scratch["mask.png"])
            #expect(try filter("mask: '\(scratch["mask.png"])'").remark?.contains(says) == true)
        }
    }

    @Test func aSeedDecidesWhichSideIsCutOut() throws {
        let image = try image(Golden("inpaint_filter"), "wide")
        let filter = try filter("threshold: 0.1, p_outpaint: 0.5")
        let sums = try (0..<16).map { seed in
            try filter(image, generator: Generator(seed: seed)).condition.sliced(1, 3..<4).sum().item()
        }
        #expect(Set(sums).count == 2)
    }

    @Test(arguments: [
        "threshold: [0.4, 0.04]", "thresold: 2", "threshold: []", "p_outpaint: 1.5", "p_outpaint: often",
        "saliency: [1]",
    ])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) { try filter(parameters) }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }

    @Test func bothSpellingsAtOnceAreRefused() throws {
        let failure = try #require(throws: Failure.self) { try filter("threshold: 0.1, thresold: 0.2") }
        #expect(failure.blame == .input && failure.what.contains("thresold"))
    }

    @Test func aMissingFileIsSaidWithWhatGetsIt() throws {
        let scratch = try Scratch()
        let given = try filter("saliency: '\(scratch["none.pt"])'")
        let failure = try #require(throws: Failure.self) { try given.prepare() }
        #expect(failure.blame == .input && failure.place == .init(scratch["none.pt"]))
        #expect(failure.expected == "saliency_model.pt")
        #expect(failure.advice == "cascade-adapt models get saliency -o \(scratch["none.pt"])")
        let mask = try #require(throws: Failure.self) { try filter("mask: '\(scratch["none.png"])'") }
        #expect(mask.blame == .input && "\(mask)".contains("none.png"))
    }
}
