import Cascade
import Layers
import Testing
import Torch

@Suite struct CLIPTextTests {
    private func tower(_ golden: TowerGolden, dtype: DType = .float32) throws -> CLIPTextTower {
        let store = ParameterStore(from: golden.parameters(ignoring: CLIPTextTower.ignores), dtype: dtype)
        let tower = try CLIPTextTower(CLIPTextConfiguration(golden.arch, file: golden.golden.path), store.root)
        try store.finish()
        return tower
    }

    @Test(arguments: ["clip_text_end_token", "clip_text_largest_token"])
    func encodesAsTransformers(name: String) throws {
        let golden = try TowerGolden(name)
        let output = try tower(golden)(golden.input("tokens"), attentionMask: golden.input("attention_mask"))
        #expect(try difference(output.hidden, golden.output("hidden")) < 2e-4)
        #expect(try difference(output.pooled, golden.output("pooled")) < 2e-4)
    }

    @Test func worksInBFloat16() throws {
        let golden = try TowerGolden("clip_text_end_token")
        let tower = try tower(golden, dtype: .bfloat16)
        let output = try tower(golden.input("tokens"), attentionMask: golden.input("attention_mask"))
        #expect(output.hidden.dtype == .bfloat16)
        #expect(try relativeError(output.hidden.to(dtype: .float32), golden.output("hidden")) < 0.02)
    }

    /// Rows of the table with a delta on some of them.
    private final class LearnedRows: TokenEmbedding {
        let table: TokenTable
        let indices: [Int]
        /// [k, c].
        let deltas: Tensor
        var count: Int { table.count }

        init(_ table: TokenTable, indices: [Int], deltas: Tensor) {
            self.table = table
            self.indices = indices
            self.deltas = deltas
        }

        func callAsFunction(_ tokens: Tensor) throws -> Tensor {
            let slots = try tokens.values(as: Int.self).map { (indices.firstIndex(of: $0) ?? -1) + 1 }
            let padded = try Tensor.concatenated([.zeros([1, deltas.size(1)]), deltas], dimension: 0)
            return try table(tokens) + padded.embedded(Tensor(slots, shape: tokens.shape))
        }
    }

    @Test(arguments: ["gradients_tokens_end_token", "gradients_tokens_largest_token"], [false, true])
    func gradientsReachLearnedTokensAlone(name: String, isCheckpointing: Bool) throws {
        let golden = try TowerGolden(name)
        let tower = try tower(golden)
        let deltas = try golden.required("tokens.deltas").cloned()
        try deltas.setRequiresGrad(true)
        let indices = try golden.required("tokens.indices").values(as: Int.self)
        tower.tokenEmbedding = LearnedRows(tower.tokenTable, indices: indices, deltas: deltas)
        tower.isCheckpointing = isCheckpointing
        let output = try tower(golden.input("tokens"), attentionMask: golden.input("attention_mask"))
        #expect(try difference(output.hidden, golden.output("hidden")) < 2e-4)
        #expect(try difference(output.pooled, golden.output("pooled")) < 2e-4)

        let loss =
            try output.hidden.meanSquaredError(to: golden.input("target.hidden"))
            + output.pooled.meanSquaredError(to: golden.input("target.pooled"))
        try loss.backward()
        #expect(try relativeError(gradient(of: deltas, "deltas"), golden.output("grad.deltas")) < 1e-3)
        #expect(try tower.tokenTable.weight.gradient() == nil)
    }

    /// Knows ids past the table's end, all of them by the table's first row.
    private final class LongerTable: TokenEmbedding {
        let table: TokenTable
        var count: Int { table.count + 2 }
        init(_ table: TokenTable) { self.table = table }
        func callAsFunction(_ tokens: Tensor) throws -> Tensor {
            let ids = try tokens.values(as: Int.self).map { $0 < table.count ? $0 : 0 }
            return try table(Tensor(ids, shape: tokens.shape))
        }
    }

    @Test func aReplacedLookupMayKnowMoreTokens() throws {
        let golden = try TowerGolden("clip_text_end_token")
        let tower = try tower(golden)
        let tokens = try Tensor([47, 53, 48], shape: [1, 3])
        let mask = try Tensor.full([1, 3], 1)
        let failure = try failure { _ = try tower(tokens, attentionMask: mask) }
        #expect(failure.blame == .input)
        #expect(failure.got == "53")
        #expect(failure.expected == "0 to 51")
        tower.tokenEmbedding = LongerTable(tower.tokenTable)
        let longer = try tower(tokens, attentionMask: mask)
        tower.tokenEmbedding = tower.tokenTable
        let plain = try tower(Tensor([47, 0, 48], shape: [1, 3]), attentionMask: mask)
        #expect(try difference(longer.pooled, plain.pooled) == 0)
    }

    @Test func refusesTextsThatCannotBe() throws {
        let golden = try TowerGolden("clip_text_end_token")
        let tower = try tower(golden)
        func refused(_ tokens: Tensor, _ mask: Tensor) throws -> String {
            let failure = try failure { _ = try tower(tokens, attentionMask: mask) }
            #expect(failure.blame == .input)
            return failure.what
        }
        let long = try Tensor.zeros([1, 13], dtype: .int64)
        #expect(try refused(long, long).contains("too many"))
        let short = try Tensor.zeros([1, 4], dtype: .int64)
        #expect(try refused(short, long).contains("attention_mask"))
        #expect(try refused(.zeros([1, 4]), short).contains("not ids"))
        #expect(try refused(Tensor([0, -1], shape: [1, 2]), .zeros([1, 2])).contains("does not know"))
        #expect(try refused(.zeros([4], dtype: .int64), short).contains("tokens"))
    }

    @Test func aTextOfPaddingAloneStaysANumber() throws {
        let golden = try TowerGolden("clip_text_end_token")
        let output = try tower(golden)(Tensor([5, 6], shape: [1, 2]), attentionMask: .zeros([1, 2]))
        #expect(try output.hidden.isAllFinite() && output.pooled.isAllFinite())
    }

    @Test func readsPastTheOtherHalfOfAWholeCLIP() {
        let others = [
            "text_model.embeddings.position_ids", "logit_scale", "vision_model.post_layernorm.weight",
            "visual_projection.weight",
        ]
        #expect(others.allSatisfy(CLIPTextTower.ignores))
        #expect(!["text_projection.weight", "text_model.final_layer_norm.bias"].contains(where: CLIPTextTower.ignores))
    }
}
