import Cascade
import Failures
import Layers
import Settings
import Testing
import Torch

@Suite struct EffNetTests {
    private func encoder(_ golden: TowerGolden, dtype: DType = .float32) throws -> EffNetEncoder {
        let store = ParameterStore(from: golden.parameters(), dtype: dtype)
        let encoder = try EffNetEncoder(Setting(golden.arch, file: "effnet").read(), store.root)
        try store.finish()
        return encoder
    }

    @Test(arguments: ["effnet", "effnet_narrow"])
    func encodesAsTorchvision(name: String) throws {
        let golden = try TowerGolden(name)
        let latents = try encoder(golden).encode(golden.input("images"))
        #expect(try difference(latents, golden.output("latents")) < 1e-3)
    }

    @Test func worksInBFloat16() throws {
        let golden = try TowerGolden("effnet")
        let latents = try encoder(golden, dtype: .bfloat16).encode(golden.input("images"))
        #expect(latents.dtype == .bfloat16)
        // The peer itself differs by 0.08 in this dtype.
        #expect(try relativeError(latents.to(dtype: .float32), golden.output("latents")) < 0.15)
    }

    @Test func normalisesByImageNetsMeanAndDeviation() throws {
        let mean = try Tensor([0.485, 0.456, 0.406].map(Float.init), shape: [1, 3, 1, 1])
        #expect(try EffNetEncoder.normalised(mean).abs().sum().item() < 1e-6)
        let white = try EffNetEncoder.normalised(Tensor.full([1, 3, 1, 1], 1)).values(as: Float.self)
        for (value, expected) in zip(white, [2.2489083, 2.4285715, 2.64]) {
            #expect(abs(Double(value) - expected) < 1e-5)
        }
    }

    @Test func `an architecture that cannot be is refused by its key`() throws {
        for (text, key) in [
            ("widths: [8, 8]", "widths"), ("depths: []", "depths"), ("strides: [2, 1, 3, 1, 1, 1, 1]", "strides"),
            ("expansions: [1, 4, 4, 4, 6, 0]", "expansions"), ("fused: 7", "fused"), ("head: 0", "head"),
            ("widths: [24, 24, 48, 2, 128, 160, 256]", "widths"), ("depths: [1, 1, 1, 1, 1, 100000]", "depths"),
        ] {
            let failure = try failure {
                _ = try Setting.parse(text, file: "a.yaml").read(as: EffNetEncoder.Configuration.self)
            }
            #expect(failure.blame == .input)
            #expect(failure.what.contains(key), "\(failure.what)")
        }
    }

    @Test func measuredLatentsHaveMeanZeroAndDeviationOne() throws {
        let generator = try Generator(seed: 3)
        let encoder = try EffNetEncoder(
            .init(latentChannels: 4), ParameterStore(from: DrawnParameters(generator)).root)
        let images = try generator.normal([2, 3, 96, 128])
        try encoder.measureStatistics(on: images)
        let latents = try encoder.encode(images)  // [2, 4, 3, 4]
        #expect(latents.shape == [2, 4, 3, 4])
        #expect(try latents.mean([0, 2, 3]).abs().sum().item() < 1e-3)
        #expect(try (latents.variance([0, 2, 3], correction: 0) - 1).abs().sum().item() < 1e-2)

        // Measured once: other images leave the statistics as they are.
        _ = try encoder.encode(generator.normal([1, 3, 64, 64]) * 5)
        #expect(try difference(encoder.encode(images), latents) < 1e-5)
    }

    @Test func trainsAllItsBatchNormsAndNoneAfterwards() throws {
        let generator = try Generator(seed: 3)
        let store = ParameterStore(from: DrawnParameters(generator))
        let encoder = try EffNetEncoder(.init(latentChannels: 4), store.root)
        let images = try generator.normal([2, 3, 64, 64])
        func statistics() throws -> [[Float]] { try store.entries.filter(\.isBuffer).map { try $0.tensor.values() } }
        let start = try statistics()
        encoder.isTraining = true
        _ = try encoder.encode(images)
        let trained = try statistics()
        #expect(zip(start, trained).allSatisfy { $0 != $1 })
        encoder.isTraining = false
        _ = try encoder.encode(images)
        #expect(try statistics() == trained)
    }

    @Test func refusesImagesOfAnotherShape() throws {
        let encoder = try EffNetEncoder(.init(), ParameterStore(from: Placeholders()).root)
        for shape in [[3, 64, 64], [1, 4, 64, 64], [1, 3, 0, 64]] {
            let failure = try failure { _ = try encoder.encode(.zeros(shape)) }
            #expect(failure.blame == .input)
            #expect(failure.what.contains("images"))
            #expect(failure.got == "\(shape)")
        }
    }

    @Test func refusesAnImpossibleWidth() throws {
        let store = ParameterStore(from: Placeholders())
        for width in [0, -3, Int.max] {
            let failure = try failure { _ = try EffNetEncoder(.init(latentChannels: width), store.root) }
            #expect(failure.blame == .input)
            #expect(failure.what.contains("c_latent"))
        }
    }
}
