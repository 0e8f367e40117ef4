import Failures
import Layers
import TestSupport
import Testing
import Torch
import Weights

/// A small network with a part of each kind.
private struct Network {
    let linear: Linear
    let norm: BatchNorm

    init(_ scope: Scope) throws {
        linear = try Linear(.init(3, 2), scope("blocks")(0)("linear"))
        norm = try BatchNorm(4, epsilon: 1e-5, scope("norm"))
    }
}

@Suite struct ParameterStoreTests {
    private static let shapes = [
        "blocks.0.linear.weight": [2, 3], "blocks.0.linear.bias": [2], "norm.weight": [4], "norm.bias": [4],
        "norm.running_mean": [4], "norm.running_var": [4],
    ]

    private func stored(_ shapes: [String: [Int]], prefix: String = "") -> StoredParameters {
        StoredParameters(
            name: "model.safetensors", available: shapes.keys.sorted(), ignoring: { $0.hasSuffix("ignored") },
            lookUp: { key in try shapes[key].map { try .full($0, 0.25) } })
    }

    @Test func `parameters have their paths, types and order`() throws {
        let device = try testDevice()
        let store = ParameterStore(from: stored(Self.shapes), dtype: .bfloat16, device: device)
        let network = try Network(store.root)
        try store.finish()
        #expect(
            store.entries.map(\.key) == [
                "blocks.0.linear.weight", "blocks.0.linear.bias", "norm.weight", "norm.bias", "norm.running_mean",
                "norm.running_var",
            ])
        #expect(store.entries.map(\.isBuffer) == [false, false, false, false, true, true])
        #expect(store.parameters.map(\.name) == store.entries.prefix(4).map(\.key))
        #expect(store.tensors.map(\.name) == store.entries.map(\.key))
        for entry in store.entries {
            #expect(entry.tensor.dtype == (entry.isBuffer ? .float32 : .bfloat16))
            #expect(entry.tensor.device == device)
            #expect(try entry.tensor.values(as: Float.self).allSatisfy { $0 == 0.25 })
        }
        #expect(store["norm.bias"] === network.norm.bias)
        #expect(store["norm"] == nil)
        #expect(store.projections.map(\.path) == ["blocks.0.linear"])
    }

    @Test func `only parameters are trained`() throws {
        let store = ParameterStore(from: stored(Self.shapes))
        _ = try Network(store.root)
        try store.setTrainable(true)
        #expect(store.entries.map(\.tensor.requiresGrad) == [true, true, true, true, false, false])
        try store.setTrainable(false)
        #expect(store.entries.allSatisfy { !$0.tensor.requiresGrad })
    }

    @Test func `all that does not fit is told at once`() throws {
        var shapes = Self.shapes
        shapes["norm.weight"] = nil
        shapes["norm.running_var"] = nil
        shapes["blocks.0.linear.bias"] = [3]
        shapes["other.weight"] = [1]
        shapes["this.is.ignored"] = [1]
        let store = ParameterStore(from: stored(shapes))
        _ = try Network(store.root)
        let failure = try expectedFailure { try store.finish() }
        #expect(failure.blame == .input)
        #expect(failure.place?.file == "model.safetensors")
        #expect(failure.what.contains("2 missing (norm.weight, norm.running_var)"))
        #expect(failure.what.contains("1 unexpected (other.weight)"))
        #expect(failure.what.contains("1 of another shape (blocks.0.linear.bias [3] where [2] belongs)"))
        #expect(failure.advice != nil)
    }

    @Test func `a file's tensors are taken without the prefix of their keys`() throws {
        let folder = try ScratchFolder()
        let path = "\(folder.path)/model.safetensors"
        let tensors = try Self.shapes.sorted { $0.key < $1.key }.map {
            ("unet." + $0.key, try Tensor.full($0.value, 2))
        }
        try SafetensorsWriter.write(tensors + [("other", try .zeros([1]))], to: path)
        let store = ParameterStore(from: StoredParameters(try SafetensorsFile(path), prefix: "unet."))
        _ = try Network(store.root)
        try store.finish()
        #expect(try store.tensors.allSatisfy { try $0.tensor.values(as: Float.self).allSatisfy { $0 == 2 } })

        let bare = ParameterStore(from: StoredParameters(try SafetensorsFile(path)))
        _ = try Network(bare.root)
        let failure = try expectedFailure { try bare.finish() }
        #expect(failure.what.contains("6 missing") && failure.what.contains("7 unexpected"))
    }

    @Test func `drawn parameters are the seed's`() throws {
        func drawn(_ seed: UInt64) throws -> [[Float]] {
            let store = ParameterStore(from: DrawnParameters(try Generator(seed: seed)))
            _ = try Network(store.root)
            return try store.tensors.map { try $0.tensor.values() }
        }
        #expect(try drawn(1) == drawn(1))
        #expect(try drawn(1) != drawn(2))
        #expect(try drawn(1)[1...] == [[0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    }
}

@Suite struct InitializerTests {
    /// A uniform distribution within ±b has the variance b² / 3.
    private static let variances: [(Initializer, Double)] = [
        (.xavierUniform(), 6 / 700 / 3), (.xavierUniform(gain: 0.5), 6 / 700 / 3 / 4), (.torchUniform, 1 / 300 / 3),
        (.normal(deviation: 0.02), 0.0004), (.kaimingNormalFanOut, 2 / 400),
    ]

    @Test(arguments: variances) func `values spread as their formula says`(
        initializer: Initializer, variance: Double
    ) throws {
        let drawn = try initializer.draw([400, 300], from: Generator(seed: 3))
        #expect(try abs(drawn.variance().item() - variance) < 0.02 * variance)
        #expect(try abs(drawn.mean().item()) < 5 * (variance / 120_000).squareRoot())
    }

    @Test func `fans are counted over the kernel`() throws {
        let bound = (1.0 / (8 * 9)).squareRoot()
        let drawn = try Initializer.torchUniform.draw([64, 8, 3, 3], from: Generator(seed: 3))
        let largest = try drawn.abs().values(as: Double.self).max() ?? 0
        #expect(largest <= bound && largest > 0.99 * bound)
    }
}
