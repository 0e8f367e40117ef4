import Cascade
import Failures
import Layers
import Testing
import Torch

@Suite struct EffNetTests {
    private func encoder(_ golden: TowerGolden, dtype: DType = .float32) throws -> EffNetEncoder {
        let store = ParameterStore(from: golden.parameters(), dtype: dtype)
        let encoder = try EffNetEncoder(.init(latentChannels: golden.whole("c_latent")), store.root)
        try store.finish()
        return encoder
    }

    @Test func encodesAsTorchvision() throws {
        let golden = try TowerGolden("effnet")
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

        // Measured once: other pictures leave the statistics as they are.
        _ = try encoder.encode(generator.normal([1, 3, 64, 64]) * 5)
        #expect(try difference(encoder.encode(images), latents) < 1e-5)
    }

    @Test func refusesPicturesOfAnotherShape() throws {
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
