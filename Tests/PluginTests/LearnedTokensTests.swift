import AdapterKit
import AdapterTesting
import Cascade
import Failures
import JSON
import Layers
import LearnedTokens
import Settings
import TestSupport
import Testing
import Torch
import Weights

@Suite struct LearnedTokensTests {
    @Test(arguments: ["gradients_tokens_end_token", "gradients_tokens_largest_token"])
    func gradientsAreThePeers(name: String) throws {
        let golden = try Golden(name)
        func required(_ key: String) throws -> Tensor { try #require(golden.tensors[key]).made() }
        let store = ParameterStore(from: golden.parameters("weights", ignoring: CLIPTextTower.ignores))
        let tower = try CLIPTextTower(
            .init(JSON.parse(golden.arch, file: golden.path), file: golden.path), store.root)
        try store.finish()
        let ids = try required("tokens.indices")
        let scratch = try Scratch()
        let described = try ids.values(as: Int.self).map { #"{"text":"\#($0)","id":\#($0),"new":false}"# }
        try SafetensorsWriter.write(
            [
                ("tokens.start", tower.tokenTable.weight.gathered(0, ids)),
                ("tokens.delta", required("tokens.deltas")),
            ],
            metadata: [
                "format": AdapterFile.format, "format_version": AdapterFile.version, "kind": LearnedTokens.kind.name,
                "tokens": "[" + described.joined(separator: ",") + "]",
            ], to: scratch["tokens"])
        let tokens = try LearnedTokens(AdapterFile(scratch["tokens"]), tower: tower)
        try tokens.attach()
        let output = try tower(required("in.tokens"), attentionMask: required("in.attention_mask"))
        #expect(try relativeError(output.hidden, required("out.hidden")) < 1e-4)
        let loss =
            try output.hidden.meanSquaredError(to: required("in.target.hidden"))
            + output.pooled.meanSquaredError(to: required("in.target.pooled"))
        try loss.backward()
        let (_, delta) = try #require(tokens.parameters.first)
        try expectGradient(of: delta, required("out.grad.deltas"), name)
    }

    private func make(_ text: String, _ world: AdaptedWorld) throws -> any Adapter {
        var fields = try Setting.parse(text, file: "tokens.yaml").fields()
        let plan = try LearnedTokens.kind.plan(&fields)
        return try #require(plan).make(world.model, Generator(seed: 1))
    }

    @Test func aNewTokenStartsAsTheMeanOfItsPattern() throws {
        let world = try AdaptedWorld()
        let dog = try world.answer(["dog", "a dog"]).values(as: Float.self)
        let tokens = try make("train_tokens: [['[rex]', '^dog</w>$']]", world)
        try tokens.attach()
        #expect(try world.answer(["[rex]", "a [rex]"]).values(as: Float.self) == dog)
        try stir(tokens)
        #expect(try world.answer(["[rex]", "a [rex]"]).values(as: Float.self) != dog)
        #expect(try world.answer(["dog", "a dog"]).values(as: Float.self) == dog)
    }

    @Test func aFileBringsNewTokensAlong() throws {
        let (world, elsewhere) = (try AdaptedWorld(), try AdaptedWorld())
        let scratch = try Scratch()
        let tokens = try make("train_tokens: [['[rex]', '^dog</w>$'], ['<max>', null]]", world)
        try stir(tokens)
        try tokens.attach()
        try write(tokens, world.model, to: scratch["tokens"])
        let found = try LearnedTokens.kind.read(AdapterFile(scratch["tokens"]), for: elsewhere.model.networks)
        let read = try #require(found)
        try read.attach()
        let captions = ["a [rex] dog", "<max>"]
        #expect(
            try elsewhere.answer(captions).values(as: Float.self) == world.answer(captions).values(as: Float.self))
        // A row that the base's table lacks cannot become part of it.
        read.detach()
        let failure = try #require(throws: Failure.self) { try read.fuse() }
        #expect(failure.blame == .input)
    }

    @Test(arguments: [
        "train_tokens: [['[rex]', '^cat</w>$']]", "train_tokens: [['^cat</w>$', null]]",
        "train_tokens: [['^dog</w>$', null], ['^dog</w>$', null]]",
        "train_tokens: [['[rex]', '^dog</w>$'], ['[rex]', null]]", "train_tokens: [['[rex]', '(']]",
        "train_tokens: [[rex]]", "train_tokens: rex",
    ])
    func requestsThatCannotBeAreRefused(text: String) throws {
        let world = try AdaptedWorld()
        let failure = try #require(throws: Failure.self) { _ = try make(text, world) }
        #expect(failure.blame == .input)
        #expect(failure.place?.file == "tokens.yaml" && failure.place?.line == 1, "\(failure)")
    }
}
