import Failures
import Files
import IdentityFilter
import Inference
import Models
import TestSupport
import Testing

/// An engine that runs the network of `inference.onnx`.
enum InferenceEngine: String, CaseIterable {
    case openCV, onnxRuntime

    func network(_ path: String) throws -> any InferenceNetwork {
        switch self {
        case .openCV: try OpenCVNetwork(path, .onnx)
        case .onnxRuntime: try ONNXRuntimeNetwork(path, on: Self.runtime())
        }
    }

    /// The library where `models get onnxruntime` puts it, or where the environment says it is.
    static func runtime() throws -> ONNXRuntime {
        let known = IdentityFilter.models.first { $0.name == "onnxruntime" }.flatMap { ModelPlaces().path(of: $0) }
        return try ONNXRuntime(library: #require(ONNXRuntime.named ?? known))
    }
}

@Suite struct InferenceTests {
    /// The features' mean comes from numbers of size 1 to 10.
    private let bar: Float = 1e-5

    private func blob(_ tensor: Golden.Tensor?) throws -> Blob {
        let tensor = try #require(tensor)
        return Blob(shape: tensor.shape, values: tensor.floats)
    }

    private func expectClose(_ made: Blob, _ expected: Blob) {
        #expect(made.shape == expected.shape)
        #expect(zip(made.values, expected.values).allSatisfy { abs($0 - $1) <= bar })
        #expect(made.values.count == expected.values.count)
    }

    @Test(arguments: InferenceEngine.allCases)
    func imagesOfAnySizeGiveThePeersNumbers(engine: InferenceEngine) throws {
        let golden = try Golden("inference")
        let network = try engine.network(Golden.file("inference.onnx"))
        // Back to a size that was there before: what an engine keeps of a size must not outlive it.
        for name in ["square", "wide", "square"] {
            let made = try network(blob(golden.tensors["in.\(name)"]), outputs: ["scores", "features"])
            expectClose(try #require(made.first), try blob(golden.tensors["out.scores.\(name)"]))
            expectClose(try #require(made.last), try blob(golden.tensors["out.features.\(name)"]))
        }
    }

    @Test(arguments: InferenceEngine.allCases)
    func threadsShareANetwork(engine: InferenceEngine) async throws {
        let golden = try Golden("inference")
        let network = try engine.network(Golden.file("inference.onnx"))
        let names = ["square", "wide"]
        let images = try names.map { try blob(golden.tensors["in.\($0)"]) }
        let made = try await withThrowingTaskGroup(of: (Int, [Blob]).self) { group in
            for index in 0..<16 {
                group.addTask { (index % 2, try network(images[index % 2], outputs: ["features"])) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for (index, blobs) in made {
            expectClose(try #require(blobs.first), try blob(golden.tensors["out.features.\(names[index])"]))
        }
        #expect(made.count == 16)
    }

    @Test(arguments: InferenceEngine.allCases)
    func aFileThatIsNoneIsRefused(engine: InferenceEngine) throws {
        let scratch = try ScratchFolder()
        let whole = try readFile(Golden.file("inference.onnx"))
        let files = [
            try scratch.write("empty.onnx", []), try scratch.write("text.onnx", Array("no network".utf8)),
            try scratch.write("cut.onnx", Array(whole.prefix(whole.count / 2))), "\(scratch.path)/missing.onnx",
            scratch.path,
        ]
        for file in files {
            let failure = try expectedFailure { _ = try engine.network(file) }
            #expect(failure.place?.file == file)
            #expect(!failure.description.contains("\n"))
        }
    }

    @Test(arguments: InferenceEngine.allCases)
    func aWrongNameOrShapeIsRefusedAndTheNextRunGoesWell(engine: InferenceEngine) throws {
        let golden = try Golden("inference")
        let path = Golden.file("inference.onnx")
        let network = try engine.network(path)
        let image = try blob(golden.tensors["in.wide"])
        let wrong = [
            (image, ["nothing"]), (image, ["scores", "nothing"]),
            (Blob(shape: [1, 4, 16, 16], values: [Float](repeating: 0, count: 1024)), ["scores"]),
            (Blob(shape: [16], values: [Float](repeating: 0, count: 16)), ["scores"]),
            (Blob(shape: [1, 3, 0, 16], values: []), ["features"]),
            (Blob(shape: [Int](repeating: 1, count: 9), values: [0]), ["scores"]),
        ]
        for (input, outputs) in wrong {
            let failure = try expectedFailure { _ = try network(input, outputs: outputs) }
            #expect(failure.blame == .input && failure.place?.file == path)
        }
        expectClose(
            try #require(network(image, outputs: ["scores"]).first), try blob(golden.tensors["out.scores.wide"]))
    }
}

@Suite struct ONNXRuntimeTests {
    @Test func theNamesOfWhatANetworkMakesAreInTheFilesOrder() throws {
        let network = try ONNXRuntimeNetwork(Golden.file("inference.onnx"), on: InferenceEngine.runtime())
        #expect(network.outputs == ["features", "scores"])
    }

    @Test(arguments: [("several", "one input"), ("counted", "32-bit")])
    func aNetworkThatCannotBeFedIsRefused(name: String, reason: String) throws {
        let runtime = try InferenceEngine.runtime()
        let failure = try expectedFailure { _ = try ONNXRuntimeNetwork(Golden.file("\(name).onnx"), on: runtime) }
        #expect(failure.blame == .input && failure.what.contains(reason))
    }

    @Test func theVersionIsTheLibrarys() throws {
        #expect(try InferenceEngine.runtime().version.contains("."))
    }

    @Test func aFolderWithoutTheLibraryIsRefusedWithTheCommand() throws {
        let scratch = try ScratchFolder()
        let failure = try expectedFailure { _ = try ONNXRuntime(library: scratch.path) }
        #expect(failure.blame == .input && failure.place?.file == scratch.path)
        #expect(failure.advice == "cascade-adapt models get onnxruntime")
    }
}
