import AdapterAlgebra
import AdapterKit
import Cascade
import Failures
import JSON
import LearnedTokens
import TestSupport
import Testing
import Torch
import Weights

@Suite struct MergeTests {
    private let world: AlgebraWorld

    init() throws { world = try AlgebraWorld() }

    @Test(arguments: [DType.float32, .bfloat16, .float16, .float8e4m3], [true, false])
    func severalWeightedAdaptersGiveThePeersNumbers(dtype: DType, fused: Bool) throws {
        let parts = try [
            world.part(world.lora("one", rank: 2), weight: 0.5), world.part(world.lora("two", rank: 1), weight: -1),
        ]
        let base = try world.base(dtype, fused: fused)
        let merged = try world.merged(parts, into: base)
        #expect(merged.entries.map(\.name) == base.file.entries.map(\.name))
        #expect(merged.entries.allSatisfy { $0.dtype == dtype })
        let official = try Checkpoint(merged).tensors(of: .stageC)
        for (key, expected) in world.golden.part("merged.\(dtype)") {
            let tensor = try official.required(key)
            #expect(tensor.shape == expected.shape)
            #expect(try tensor.values(as: Float.self) == expected.floats, "\(key)")
        }
        #expect(merged.metadata["format"] == "pt" && merged.metadata["licence"] == "that of the base")
        let described = try JSON.parse(#require(merged.metadata["merged_adapters"]), file: merged.path)
        #expect(described.arrayValue?.map { $0["weight"]?.doubleValue } == [0.5, -1])
        #expect(described[0]?["file"] == "one.safetensors")
    }

    @Test func weightZeroLeavesEveryByte() throws {
        let base = try world.base(.bfloat16)
        let merged = try world.merged([world.part(world.lora("one", rank: 2), weight: 0)], into: base)
        for entry in base.file.entries {
            let (before, after) = try (base.file.required(entry.name), merged.required(entry.name))
            #expect(before.withBytes { Array($0) } == after.withBytes { Array($0) }, "\(entry.name)")
        }
    }

    @Test func tokensMoveRowsAndAppendNewOnes() throws {
        let table = (0..<12).map { Float($0) / 4 }
        let path = try world.folder.write(
            [
                "text_model.embeddings.token_embedding.weight": .init(table, [4, 3]),
                "text_model.final_layer_norm.weight": .init([1, 1, 1], [3]),
            ], to: "text.safetensors")
        let tokens = try world.folder.write(
            [
                "tokens.start": .init([0.75, 1, 1.25, 8, 8, 8], [2, 3]),
                "tokens.delta": .init([1, 2, 3, -1, -2, -4], [2, 3]),
            ],
            metadata: [
                "format": AdapterFile.format, "format_version": "1", "kind": "tokens",
                "tokens":
                    #"[{"text": "b", "id": 1, "new": false}, {"text": "[new]", "id": 49408, "new": true}]"#,
            ], to: "tokens.safetensors")
        let part = try world.part(AdapterFile(tokens), weight: 0.5)
        let merge = try Merge([part], into: Checkpoint(path))
        #expect(merge.newTokens.map(\.text) == ["[new]"] && merge.newTokens.map(\.id) == [4])
        try merge.write(to: path)
        let merged = try SafetensorsFile(path).required("text_model.embeddings.token_embedding.weight")
        #expect(merged.shape == [5, 3])
        let moved: [Float] = [0.75 + 0.5, 1 + 1, 1.25 + 1.5]
        let expected = Array(table[..<3]) + moved + Array(table[6...]) + [7.5, 7, 6]
        #expect(try merged.values(as: Float.self) == expected)
        // Without a base: of two files with one token the deltas add up, and the start counts once.
        let stacked = world.folder["stacked.safetensors"]
        try AdapterStack([part, world.part(AdapterFile(tokens), weight: -2)]).write(to: stacked)
        let file = try AdapterFile(stacked)
        #expect(file.kinds == ["tokens"] && file.weights.entries.map(\.name) == ["tokens.start", "tokens.delta"])
        #expect(try file.weights.required("tokens.start").values(as: Float.self) == [0.75, 1, 1.25, 8, 8, 8])
        let added: [Float] = [-1.5, -3, -4.5, 1.5, 3, 6]
        #expect(try file.weights.required("tokens.delta").values(as: Float.self) == added)
        #expect(try file.described("tokens").arrayValue?.map { $0["id"]?.intValue } == [1, 49408])
        // The same new token of two files would need two rows.
        let failure = try #require(throws: Failure.self) { try Merge([part, part], into: Checkpoint(path)) }
        #expect(failure.got == "[new]")
    }

    /// The official code's files hold deltas alone: enough for words that the base has.
    @Test(arguments: [false, true]) func tokensWithoutAStartMergeWhereTheBaseHasThem(isNew: Bool) throws {
        let path = try world.folder.write(
            [
                "text_model.embeddings.token_embedding.weight": .init([1, 2, 3, 4], [2, 2]),
                "text_model.final_layer_norm.weight": .init([1, 1], [2]),
            ], to: "text.safetensors")
        let tokens = try world.folder.write(
            ["tokens.delta": .init([0.5, -1], [1, 2])],
            metadata: [
                "format": AdapterFile.format, "format_version": "1", "kind": "tokens",
                "tokens": #"[{"text": "b", "id": 1, "new": \#(isNew)}]"#,
            ], to: "tokens.safetensors")
        guard !isNew else {
            let part = try world.part(AdapterFile(tokens))
            let failure = try #require(throws: Failure.self) { try Merge([part], into: Checkpoint(path)) }
            #expect(failure.blame == .input && failure.what.contains("new token b"), "\(failure)")
            #expect(failure.got == "only what was added to it")
            return
        }
        try Merge([world.part(AdapterFile(tokens))], into: Checkpoint(path)).write(to: path)
        let merged = try SafetensorsFile(path).required("text_model.embeddings.token_embedding.weight")
        #expect(try merged.values(as: Float.self) == [1, 2, 3.5, 3])
    }

    @Test func whatDoesNotFitIsNamed() throws {
        func refusal(_ tensors: [String: Golden.Tensor], base: Checkpoint? = nil) throws -> Failure {
            let part = try world.part(world.lora("odd", rank: 1, tensors: tensors))
            let target = try base ?? world.base()
            return try #require(throws: Failure.self) { try Merge([part], into: target) }
        }
        func lora(_ module: String, _ outputs: Int, _ inputs: Int, value: Float = 1) -> [String: Golden.Tensor] {
            [
                "\(module).lora_down.weight": .init([Float](repeating: value, count: inputs), [1, inputs]),
                "\(module).lora_up.weight": .init([Float](repeating: 1, count: outputs), [outputs, 1]),
            ]
        }
        let absent = try refusal(lora("down_blocks.0.9.attention.attn.to_q", 8, 8))
        #expect(absent.blame == .input && absent.what.contains("down_blocks.0.9.attention.attn.to_q"))
        #expect(absent.place?.file.hasSuffix("odd.safetensors") == true)
        let misshapen = try refusal(lora("down_blocks.0.2.attention.attn.to_k", 4, 8))
        #expect(misshapen.expected == "[8, 8]" && misshapen.got == "[4, 8]")
        let narrow = try refusal(lora("clf.1", 4, 3))
        #expect(narrow.expected == "[4, 8]" && narrow.got == "[4, 3]")
        #expect(try refusal(lora("clf.1", 4, 8, value: .nan)).what.contains("not finite"))
        let text = try world.folder.write(
            ["text_model.final_layer_norm.weight": .init([1], [1])], to: "text.safetensors")
        let elsewhere = try refusal(lora("clf.1", 4, 8), base: Checkpoint(text))
        #expect(elsewhere.what == "the adapter changes nothing in this base")
        #expect(elsewhere.expected == "a base with Stage C" && elsewhere.got == "CLIP text encoder")
    }

    @Test func aSumPastTheDtypesRangeIsRefusedAndLeavesNothing() throws {
        let base = try world.base(.float16)
        let part = try world.part(world.lora("one", rank: 2), weight: 1e6)
        let failure = try #require(throws: Failure.self) { try world.merged([part], into: base) }
        #expect(failure.blame == .input && failure.got == "float16")
        #expect(throws: Failure.self) { try SafetensorsFile(world.folder["merged.safetensors"]) }
    }
}
