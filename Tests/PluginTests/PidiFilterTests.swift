import EdgeFilter
import Failures
import JSON
import TestSupport
import Testing
import Torch
import Weights

/// Edges of the filter and its network, against `Tests/Goldens/write_edge_filter.py`.
@Suite struct PidiFilterTests {
    /// A file in the published layout, of few channels.
    private static let narrow = Golden.file("pidinet_narrow.pth")

    private func filter(_ parameters: String, weights: String = narrow) throws -> PidiFilter {
        try .make(.parse("{weights: '\(weights)', \(parameters)}", file: "filter.yaml"))
    }

    /// Every weight of the published size, drawn from its name, in a file with the published keys.
    private func publishedSize(_ golden: Golden, in scratch: Scratch) throws -> String {
        let tensors = try golden.drawnTensors().map { ("state_dict.module.\($0.name)", $0.tensor) }
        #expect(tensors.reduce(0) { $0 + $1.1.count } == 710_149)
        try SafetensorsWriter.write(tensors, to: scratch["pidinet.safetensors"])
        return scratch["pidinet.safetensors"]
    }

    @Test func theNetworkIsThePeersInThePublishedSize() throws {
        let scratch = try Scratch()
        let golden = try Golden("pidinet")
        let images = try #require(golden.tensors["in.pictures"]).made()
        let filter = try filter(
            "resize: null, dilation_kernels: 0, binarize: false", weights: publishedSize(golden, in: scratch))
        let made = try filter(images, generator: Generator(seed: 1)).condition
        #expect(try largestDifference(made, #require(golden.tensors["out.edges"]).made()) < 2e-4)
    }

    @Test(arguments: [
        ("resize: 32", true), ("dilation_kernels: 3", true), ("dilation_kernels: 3, threshold: 0.2", false),
        ("dilation_kernels: 3, binarize: false", false), ("threshold: 0.2", true),
    ])
    func withAllFixedNothingIsDrawn(parameters: String, isDrawn: Bool) throws {
        let generator = try Generator(seed: 1)
        let made = try generator.watching { try filter(parameters)(.zeros([1, 3, 32, 32]), generator: generator) }
        #expect(made.hasDrawn == isDrawn)
    }

    @Test(arguments: [("plain", 0), ("narrow", 3), ("even", 4), ("wide", 9), ("cut", 0), ("both", 7)])
    func conditionsAreThePeers(name: String, kernel: Int) throws {
        let golden = try Golden("pidi_filter")
        let threshold = golden.metadata["threshold.\(name)"]
        let filter = try filter(
            "dilation_kernels: [\(kernel)], " + (threshold.map { "threshold: \($0)" } ?? "binarize: false"))
        let image = try #require(golden.tensors["in.picture"]).made()
        let made = try filter(image, generator: Generator(seed: 1)).condition
        #expect(try largestDifference(made, #require(golden.tensors["out.\(name)"]).made()) < 1e-4)
    }

    @Test func drawsReachEveryKernelAndStayWhereOneIsFixed() throws {
        let image = try #require(Golden("pidi_filter").tensors["in.picture"]).made()
        func sums(_ parameters: String) throws -> [Double] {
            let filter = try filter("resize: 32, \(parameters)")
            return try (0..<24).map { try filter(image, generator: Generator(seed: $0)).condition.sum().item() }
        }
        #expect(Set(try sums("binarize: false, dilation_kernels: [0, 3, 9]")).count == 3)
        #expect(Set(try sums("threshold: 0.5, dilation_kernels: [3]")).count == 1)
        // The threshold's draw is the same whether the kernel is fixed or drawn.
        let range = "threshold: [0.3, 0.7]"
        #expect(try sums("\(range), dilation_kernels: [5, 5]") == sums("\(range), dilation_kernels: 5"))
    }

    @Test(arguments: [
        "resize: 7", "resize: 9000", "dilation_kernels: []", "dilation_kernels: [3, 1]", "dilation_kernels: 33",
        "dilation_kernels: -3", "threshold: [0.7, 0.05]", "threshold: 2", "threshold: []", "threshold: .nan",
        "binarize: much",
    ])
    func parametersThatCannotBeAreRefused(parameters: String) throws {
        let failure = try #require(throws: Failure.self) { try filter(parameters) }
        #expect(failure.blame == .input && failure.place?.line == 1 && failure.expected != nil)
    }

    @Test func aMissingFileIsSaidWithWhatGetsIt() throws {
        let scratch = try Scratch()
        let given = try filter("binarize: true", weights: scratch["none.pth"])
        let failure = try #require(throws: Failure.self) { try given.prepare() }
        #expect(failure.blame == .input && failure.place == .init(scratch["none.pth"]))
        #expect(failure.expected == "table5_pidinet.pth")
        #expect(failure.advice == "cascade-adapt models get pidinet -o \(scratch["none.pth"])")
    }

    @Test func aFileOfAnotherKindIsRefused() throws {
        let scratch = try Scratch()
        try scratch.write(["weight": .init([1], [1])], to: "other.safetensors")
        let other = try #require(throws: Failure.self) {
            try filter("binarize: true", weights: scratch["other.safetensors"]).prepare()
        }
        #expect(other.blame == .input && "\(other)".contains("init_block.weight"))
        let whole = try Tensors.open(Self.narrow)
        let cut = try whole.entries.dropLast(3).map { ($0.name, try whole.required($0.name)) }
        try SafetensorsWriter.write(cut, to: scratch["cut.safetensors"])
        let failure = try #require(throws: Failure.self) {
            try filter("binarize: true", weights: scratch["cut.safetensors"]).prepare()
        }
        #expect(failure.blame == .input && "\(failure)".contains("3 missing"))
    }

    @Test func anImageTooSmallToHalveThriceIsRefusedWithoutResize() throws {
        let failure = try #require(throws: Failure.self) {
            try filter("resize: null")(.zeros([1, 3, 7, 9]), generator: Generator(seed: 1))
        }
        #expect(failure.blame == .input && failure.got == "9 x 7")
    }
}
