import AdapterKit
import AdapterTesting
import Failures
import JSON
import LearnedTokens
import LoRA
import Settings
import TestSupport
import Testing
import Torch
import Weights

private let plugIns = PlugIns(filters: [], adapters: [LoRA.kind, LearnedTokens.kind])

/// Learned tokens in the files of other programs.
@Suite struct TokenFormatTests {
    private static let captions = ["a [rex] dog", "[rex]"]

    /// A new token and one of the vocabulary, moved away from where they started, in a native file.
    private func trained(_ scratch: Scratch, _ requests: String) throws -> (AdapterFile, answer: [Float]) {
        let world = try AdaptedWorld()
        var fields = try Setting.parse("train_tokens: \(requests)", file: "tokens.yaml").fields()
        let plan = try LearnedTokens.kind.plan(&fields)
        let tokens = try #require(plan).make(world.model, Generator(seed: 1))
        try stir(tokens)
        try tokens.attach()
        try write(tokens, world.model, to: scratch["native"])
        return (try AdapterFile(scratch["native"]), try world.answer(Self.captions).values())
    }

    private func answer(_ file: AdapterFile) throws -> [Float] {
        let world = try AdaptedWorld()
        let tokens = try LearnedTokens.kind.read(file, for: world.model.networks)
        try #require(tokens).attach()
        return try world.answer(Self.captions).values()
    }

    @Test(arguments: [AdapterFormat.stability, .kohya, .comfyui, .diffusers])
    func `tokens answer alike in every format`(format: AdapterFormat) throws {
        let scratch = try Scratch()
        let (file, expected) = try trained(scratch, "[['[rex]', '^dog</w>$'], ['^a</w>$', null]]")
        _ = try plugIns.export(file, as: format).write(to: scratch["out.safetensors"])
        let found = try answer(plugIns.open(scratch["out.safetensors"]))
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func `an embedding file holds absolute vectors`() throws {
        let scratch = try Scratch()
        let (file, _) = try trained(scratch, "[['[rex]', '^dog</w>$']]")
        let export = try plugIns.export(file, as: .kohya)
        #expect(export.main.tensors.map(\.name) == ["clip_g"])
        let (start, delta) = (
            try file.weights.required("tokens.start"), try file.weights.required("tokens.delta")
        )
        #expect(try (export.main.tensors[0].tensor - start - delta).abs().sum().item() == 0)
        let relative = try plugIns.export(file, as: .stability).main.tensors
        #expect(relative.map(\.name) == ["embeddings.embeddings", "embeddings.indices"])
        #expect(try relative[0].tensor.values(as: Float.self) == delta.values())
    }

    @Test func `a reference file needs the texts of its new tokens, and where they started`() throws {
        let scratch = try Scratch()
        let (file, expected) = try trained(scratch, "[['[rex]', '^dog</w>$']]")
        let id = try #require(file.described("tokens")[0]?["id"]?.intValue)
        let reference = try InMemory(
            [("embeddings.embeddings", file.weights.required("tokens.delta")), ("embeddings.indices", Tensor([id]))],
            [:])
        var reading = AdapterReading()
        reading.text = try AdaptedWorld().model.text
        let failure = try #require(throws: Failure.self) { try plugIns.open(reference, reading) }
        #expect(failure.blame == .input && failure.advice?.contains("--token") == true)
        reading.tokens = [.init(text: "[rex]", pattern: "^dog</w>$")]
        #expect(try answer(plugIns.open(reference, reading)) == expected)
    }

    /// What AUTOMATIC1111's web UI, kohya's scripts and diffusers write, and the word that they read it under.
    @Test(arguments: [
        ("emb_params", "art.safetensors", "art"), ("string_to_param.*", "art.pt", "art"),
        ("<cat-toy>", "learned_embeds.bin", "<cat-toy>"), ("sks", "learned_embeds.safetensors", "sks"),
    ]) func `embeddings of other programs are read`(_ key: String, _ path: String, _ word: String) throws {
        let numbers: [Float] = [1, 2, 3, 4, 5, 6, 7, 8]
        for shape in [[8], [2, 4]] {
            let file = try InMemory([(key, Tensor(numbers, shape: shape))], [:], path: path)
            let opened = try plugIns.open(file)
            let texts = try opened.described("tokens").arrayValue?.compactMap { $0["text"]?.stringValue }
            #expect(texts == (shape.count == 1 ? [word] : [word, "\(word)-2"]))
            #expect(try opened.weights.required("tokens.start").values(as: Float.self) == numbers)
            #expect(try opened.weights.required("tokens.delta").abs().sum().item() == 0)
        }
    }

    @Test func `one vector under a name of a module is no embedding`() throws {
        for key in ["norm.weight", "<a>.weight", "x"] {
            let file = try InMemory([(key, Tensor([Float](repeating: 1, count: 4)))], [:])
            #expect(LearnedTokens.kind.foreignFormat(of: file) == nil, "\(key)")
        }
    }

    @Test(
        arguments: [
            [("clip_g", [2, 0])], [("emb_params", [1, 2, 3])], [("string_to_param.*", [2, 0])],
            [("emb_params", [1, 4]), ("other", [1, 4])], [("clip_g", [1, 2, 3])],
            [("bundle_emb.[rex].clip_l", [1, 4])],
            [("embeddings.embeddings", [2, 4])], [("embeddings.embeddings", [2, 4]), ("embeddings.indices", [3])],
            [("embeddings.embeddings", [2, 4]), ("embeddings.indices", [2])],
        ] as [[(String, [Int])]]) func `damaged token files are refused`(_ tensors: [(String, [Int])]) throws
    {
        let file = try InMemory(tensors.map { ($0.0, try .zeros($0.1)) }, [:])
        let failure = try #require(throws: Failure.self) { try plugIns.open(file) }
        #expect(failure.blame == .input && failure.place?.file == file.path)
    }
}
