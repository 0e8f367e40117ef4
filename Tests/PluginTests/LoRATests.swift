import AdapterKit
import AdapterTesting
import Cascade
import Failures
import JSON
import Layers
import LoRA
import Settings
import TestSupport
import Testing
import Torch

@Suite struct LoRATests {
    @Test func gradientsAreThePeers() throws {
        let question = try Question()
        try question.lora.attach()
        try question.expectAnswers(of: question.golden)
    }

    @Test func withDropoutTheyAreThePeers() throws {
        let question = try Question()
        let answers = try Golden("gradients_lora_dropout")
        let rate = try #require(answers.metadata["rate"])
        try question.lora.attach()
        var fields = try Setting.parse(
            "{module_filters: [.attn], rank: 4, lora_dropout: \(rate)}", file: "lora.yaml"
        ).fields()
        let plan = try LoRA.kind.plan(&fields)
        try #require(plan).settle(question.lora)
        let seed = try #require(answers.metadata["seed"])
        try question.lora.setDropout(Draws(seed: #require(UInt64(seed)), places: 0..<2))
        try question.expectAnswers(of: answers)
        // Blocks that are computed again for their gradients drop the same.
        for (_, tensor) in question.lora.parameters { try tensor.setGradient(nil) }
        question.model.stageC.isCheckpointing = true
        try question.expectAnswers(of: answers)
        // And without draws all is heard.
        question.lora.setDropout(nil)
        for (_, tensor) in question.lora.parameters { try tensor.setGradient(nil) }
        try question.expectAnswers(of: question.golden)
    }

    @Test(arguments: ["attention", "clf", "down_blocks.0.2"])
    func filtersSelectByPartOfThePath(filter: String) throws {
        let world = try AdaptedWorld()
        let lora = try ModuleAdapter(
            LoRA(rank: 1), on: ModuleSelection([filter]), of: world.model, generator: Generator(seed: 1))
        let paths = lora.parameters.map(\.name)
        #expect(!paths.isEmpty && paths.allSatisfy { $0.contains(filter) })
        let all = world.model.stageC.store.projections.count { $0.path.contains(filter) }
        #expect(paths.count == 2 * all)
    }

    @Test func aFilterThatSelectsNothingIsRefusedWithExamples() throws {
        let world = try AdaptedWorld()
        var fields = try Setting.parse("module_filters: ['.attn', '.attm']\nrank: 2\n", file: "lora.yaml").fields()
        let planned = try LoRA.kind.plan(&fields)
        let plan = try #require(planned)
        for attempt in [
            { _ = try plan.summary(world.model) }, { _ = try plan.make(world.model, Generator(seed: 1)) },
        ] {
            let failure = try #require(throws: Failure.self, performing: attempt)
            #expect(failure.blame == .input && failure.got == "`.attm`")
            #expect(failure.place == .init("lora.yaml", line: 1, column: 17))
            #expect(failure.expected?.contains("down_blocks.0.") == true)
        }
    }

    @Test(arguments: [
        "module_filters: []\nrank: 2", "module_filters: [.attn]\nrank: 0", "module_filters: [.attn]\nrank: 4097",
        "module_filters: [.attn]", "rank: 4", "module_filters: [.attn]\nrank: 4\nlora_alpha: 0",
        "module_filters: [.attn]\nrank: 4\nlora_init: zero", "module_filters: .attn.x: 4\nrank: 4",
        "module_filters: [.attn]\nrank: 4\nlora_dropout: 1", "module_filters: [.attn]\nrank: 4\nlora_dropout: -0.1",
    ])
    func configurationsThatCannotBeAreRefused(text: String) throws {
        let failure = try #require(throws: Failure.self) {
            var fields = try Setting.parse(text, file: "lora.yaml").fields()
            _ = try LoRA.kind.plan(&fields)
        }
        #expect(failure.blame == .input && failure.place?.file == "lora.yaml" && failure.place?.line != nil)
    }

    @Test func strengthScalesWhatIsAdded() throws {
        let world = try AdaptedWorld()
        let base = try world.answer()
        let lora = try ModuleAdapter(
            LoRA(rank: 2), on: ModuleSelection(["clf"]), of: world.model, generator: Generator(seed: 1))
        try stir(lora)
        try lora.attach()
        // The last layer is linear, so half the strength is half the change.
        let whole = try world.answer() - base
        lora.strength = 0.5
        #expect(try relativeError((world.answer() - base) * 2, whole) < 1e-3)
    }
}

/// Expects a gradient within a thousandth of the peer's: by norm, and each element by the largest one.
func expectGradient(
    of parameter: Tensor, _ expected: Tensor, _ name: String, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let gradient = try parameter.gradient()
    let found = try #require(gradient, "\(name)", sourceLocation: sourceLocation)
    #expect(try relativeError(found, expected) < 1e-3, "\(name)", sourceLocation: sourceLocation)
    let largest = try expected.abs().values(as: Float.self).max() ?? 0
    let apart = try (found - expected).abs().values(as: Float.self).max() ?? 0
    #expect(apart <= 1e-3 * largest, "\(name)", sourceLocation: sourceLocation)
}
