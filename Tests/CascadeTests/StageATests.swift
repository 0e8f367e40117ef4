import Failures
import Layers
import Settings
import TestSupport
import Testing
import Torch

@testable import Cascade

@Suite struct StageATests {
    private func stageA(_ golden: TowerGolden, dtype: DType = .float32) throws -> StageA {
        let store = ParameterStore(from: golden.parameters(), dtype: dtype)
        let stageA = try StageA(.read(Setting(golden.arch, file: golden.golden.path)), store.root)
        try store.finish()
        return stageA
    }

    @Test func `encodes as the peer, sides rounded down`() throws {
        let golden = try TowerGolden("stage_a_encode")
        let latents = try stageA(golden).encode(golden.input("images"))
        #expect(latents.shape == [2, 4, 5, 8])
        #expect(try difference(latents, golden.output("latents")) < 2e-4)
    }

    @Test func `decodes as the peer`() throws {
        let golden = try TowerGolden("stage_a_decode")
        let images = try stageA(golden).decode(golden.input("latents"))
        #expect(images.shape == [2, 3, 20, 28])
        #expect(try difference(images, golden.output("images")) < 2e-4)
    }

    @Test func `works in bfloat16`() throws {
        let (encoding, decoding) = (try TowerGolden("stage_a_encode"), try TowerGolden("stage_a_decode"))
        let latents = try stageA(encoding, dtype: .bfloat16).encode(encoding.input("images"))
        #expect(latents.dtype == .bfloat16)
        #expect(try relativeError(latents.to(dtype: .float32), encoding.output("latents")) < 3e-2)
        let images = try stageA(decoding, dtype: .bfloat16).decode(decoding.input("latents"))
        #expect(try relativeError(images.to(dtype: .float32), decoding.output("images")) < 3e-2)
    }

    @Test func `products in bfloat16 err less than all of it in bfloat16`() throws {
        let golden = try TowerGolden("stage_a_decode")
        let (mixed, latents, expected) = (try stageA(golden), try golden.input("latents"), try golden.output("images"))
        mixed.productDType = .bfloat16
        let images = try mixed.decode(latents)
        #expect(images.dtype == .float32)
        let error = try relativeError(images, expected)
        let whole = try relativeError(
            stageA(golden, dtype: .bfloat16).decode(latents).to(dtype: .float32), expected)
        #expect(error > 1e-5 && error < whole, "\(error), \(whole)")
    }

    /// A row, some rows with a rest, all but one, and all.
    @Test(arguments: [1, 20, 55, 2048], [DType.float32, .bfloat16])
    func `some rows of an image at a time come to what all of them come to`(positions: Int, products: DType) throws {
        let generator = try Generator(seed: 2)
        let store = ParameterStore(from: DrawnParameters(generator))
        let block = try MixingBlock(24, store.root)
        try store["gammas"]?.assign(generator.normal([6]))
        let x = try generator.normal([2, 12, 5, 24])
        let whole = try block(x, products: products)
        block.positionsAtOnce = positions
        #expect(try largestDifference(block(x, products: products), whole) < 1e-6)
        #expect(try largestDifference(whole, x) > 0.1)
    }

    @Test func `the quantizer finds the entries that the peer's finds`() throws {
        let golden = try TowerGolden("stage_a_decode")
        let stageA = try stageA(golden)
        let vectors = try golden.required("quantizer.vectors")
        let (indices, entries) = (
            try golden.required("quantizer.indices").values(as: Int.self), try golden.required("quantizer.entries")
        )
        #expect(try stageA.quantizer.indices(vectors).shape == [2, 6, 9])
        #expect(try stageA.quantizer.indices(vectors).values(as: Int.self) == indices)
        #expect(try difference(stageA.quantizer(vectors), entries) < 1e-6)
        // Latents lie on another scale than the codebook.
        let scale = 1 / stageA.configuration.scaleFactor
        #expect(try difference(stageA.quantize(vectors * scale), entries * scale) < 1e-6)
    }

    @Test func `an image of more vectors than are compared at once is quantized whole`() throws {
        let golden = try TowerGolden("stage_a_decode")
        let quantizer = try stageA(golden).quantizer
        let tile = try golden.required("quantizer.vectors")
        let expected = try quantizer.indices(tile).repeated([1, 80, 82])
        // 2 · 480 · 738 vectors and 48 entries: twice as many distances as are taken at once.
        #expect(try quantizer.indices(tile.repeated([1, 1, 80, 82])).values(as: Int.self) == expected.values())
    }

    @Test func `inputs and values that cannot be are failures of the input`() throws {
        let stageA = try stageA(TowerGolden("stage_a_decode"))
        for shape in [[1, 1, 8, 8], [1, 3, 7, 8], [1, 3, 2, 8], [3, 8, 8]] {
            #expect(try failure { _ = try stageA.encode(.zeros(shape)) }.blame == .input)
        }
        #expect(try failure { _ = try stageA.decode(.zeros([1, 3, 4, 4])) }.blame == .input)
        #expect(try failure { _ = try stageA.quantize(.zeros([1, 3, 4, 4])) }.blame == .input)
        for (text, key) in [
            ("{levels: 0}", "levels"), ("{levels: 63}", "levels"), ("{c_hidden: 1}", "c_hidden"),
            ("{bottleneck_blocks: -1}", "bottleneck_blocks"), ("{codebook_size: 0}", "codebook_size"),
            ("{scale_factor: 0}", "scale_factor"), ("{c_latents: 4}", "c_latents"),
        ] {
            let failure = try failure { _ = try StageAConfiguration.read(.parse(text, file: "a.yaml")) }
            #expect(failure.blame == .input)
            #expect(failure.what.contains(key))
        }
    }
}
