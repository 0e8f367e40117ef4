import Cascade
import Failures
import Layers
import Testing
import Torch

@Suite struct PreviewerTests {
    private func previewer(_ golden: TowerGolden, dtype: DType = .float32) throws -> Previewer {
        let store = ParameterStore(from: golden.parameters(), dtype: dtype)
        let previewer = try Previewer(
            .init(inputs: golden.whole("c_in"), hidden: golden.whole("c_hidden"), outputs: golden.whole("c_out")),
            store.root)
        try store.finish()
        return previewer
    }

    @Test func decodesAsThePeer() throws {
        let golden = try TowerGolden("previewer")
        let images = try previewer(golden)(golden.input("latents"))
        #expect(try difference(images, golden.output("images")) < 2e-4)
    }

    @Test func worksInBFloat16() throws {
        let golden = try TowerGolden("previewer")
        let images = try previewer(golden, dtype: .bfloat16)(golden.input("latents"))
        // The peer itself differs by 0.024 in this dtype.
        #expect(try relativeError(images.to(dtype: .float32), golden.output("images")) < 0.05)
    }

    @Test func everyBatchNormIsMeasuredOnWhatReachesIt() throws {
        let generator = try Generator(seed: 5)
        let store = ParameterStore(from: DrawnParameters(generator))
        let previewer = try Previewer(.init(inputs: 4, hidden: 16, outputs: 3), store.root)
        let latents = try generator.normal([2, 4, 6, 6]) * 7
        try previewer.measureStatistics(on: latents)
        // What a batch norm yields has mean 0 and deviation 1, so the last convolution sees nothing else.
        let last = try #require(store["blocks.24.weight"])  // [3, 4, 1, 1]
        let bias = try #require(store["blocks.24.bias"])
        try bias.assign(.full([3], 0.25))
        let images = try previewer(latents)  // [2, 3, 48, 48]
        #expect(images.shape == [2, 3, 48, 48])
        #expect(try (images.mean([0, 2, 3]) - 0.25).abs().sum().item() < 1e-4)
        try last.assign(.zeros([3, 4, 1, 1]))
        try last.selected(0, 0).selected(0, 2).assign(.full([1, 1], 1))
        #expect(try abs(previewer(latents).sliced(1, 0..<1).variance(correction: 0).item() - 1) < 1e-2)
    }

    @Test func refusesLatentsAndWidthsThatCannotBe() throws {
        let golden = try TowerGolden("previewer")
        let previewer = try previewer(golden)
        let shape = try failure { _ = try previewer(.zeros([1, 16, 4, 4])) }
        #expect(shape.blame == .input)
        #expect(shape.expected == "[any, 4, any, any]")

        let store = ParameterStore(from: Placeholders())
        let width = try failure { _ = try Previewer(.init(hidden: 3), store.root) }
        #expect(width.what.contains("c_hidden"))
    }
}
