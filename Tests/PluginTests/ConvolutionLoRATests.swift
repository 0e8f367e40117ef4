import AdapterKit
import AdapterTesting
import Cascade
import Failures
import LearnedTokens
import LoRA
import Settings
import TestSupport
import Testing
import Torch
import Weights

/// LoRA on 1x1 and depthwise convolutions.
@Suite struct ConvolutionLoRATests {
    private static let plugIns = PlugIns(filters: [], adapters: [LoRA.kind, LearnedTokens.kind])
    private static let filters = ["depthwise", "embedding", "scalers", "clf"]
    private static let kernel = "down_blocks.0.0.depthwise"

    private func question() throws -> Question { try Question("gradients_lora_convolutions", on: Self.filters) }

    @Test func `output and gradients are the peer's, attached or fused`() throws {
        let question = try question()
        try question.lora.attach()
        try question.expectAnswers(of: question.golden)
        question.model.stageC.isCheckpointing = true
        for (_, tensor) in question.lora.parameters { try tensor.setGradient(nil) }
        try question.expectAnswers(of: question.golden)
        question.lora.detach()
        try question.lora.fuse()
        #expect(try relativeError(question.output(), #require(question.golden.tensors["out.out"]).made()) < 1e-4)
    }

    @Test func `kernels get no more rank than they have numbers, scaled as the others are`() throws {
        let world = try AdaptedWorld()
        let lora = try ModuleAdapter(
            LoRA(rank: 12, alpha: 6), on: ModuleSelection(["depthwise", "clf"]), of: world.model,
            generator: Generator(seed: 1))
        let scratch = try Scratch()
        try write(lora, world.model, to: scratch["lora"])
        let file = try AdapterFile(scratch["lora"])
        #expect(file.weights["\(Self.kernel).lora_down.weight"]?.shape == [9, 9])
        #expect(file.weights["\(Self.kernel).lora_up.weight"]?.shape == [16, 9])
        #expect(file.weights["clf.1.lora_down.weight"]?.shape == [12, 16])
        let found = try LoRA.kind.changes(in: file)
        let scales = try #require(found).map { change -> Double in
            guard case .lowRank(let change) = change else { return 0 }
            return change.scale
        }
        #expect(scales.count == 7 && scales.allSatisfy { $0 == 0.5 })
        let facts = try Dictionary(uniqueKeysWithValues: LoRA.kind.facts(of: file).map { ($0.name, $0.value) })
        #expect(facts["depthwise_modules"] == 6 && facts["ranks"] == [9, 12])
    }

    @Test func `dropout takes numbers of the feature map`() throws {
        let question = try question()
        var fields = try Setting.parse("{module_filters: [x], rank: 1, lora_dropout: 0.5}", file: "a").fields()
        let plan = try LoRA.kind.plan(&fields)
        try #require(plan).settle(question.lora)
        try question.lora.attach()
        let whole = try question.output()
        question.lora.setDropout(Draws(seed: 3, places: 0..<2))
        let dropped = try question.output()
        #expect(try relativeError(dropped, whole) > 1e-3 && relativeError(question.output(), dropped) == 0)
        question.lora.setDropout(nil)
        #expect(try relativeError(question.output(), whole) == 0)
    }

    // MARK: Files of other programs

    private func native(_ lora: ModuleAdapter<LoRA>, _ model: AdaptedModel, in scratch: Scratch) throws -> AdapterFile {
        try write(lora, model, to: scratch["native"])
        return try AdapterFile(scratch["native"])
    }

    @Test(arguments: [AdapterFormat.kohya, .comfyui]) func `formats with names carry kernels bit by bit`(
        format: AdapterFormat
    ) throws {
        let (question, scratch) = (try question(), try Scratch())
        let file = try native(question.lora, question.model, in: scratch)
        let exported = try Self.plugIns.export(file, as: format).main
        let stem = format == .kohya ? "lora_unet" : "lora_prior_unet"
        let shapes = Dictionary(uniqueKeysWithValues: exported.tensors.map { ($0.name, $0.tensor.shape) })
        // As kohya's scripts keep a convolution's: its kernel in the down half.
        #expect(shapes["\(stem)_down_blocks_0_0_depthwise.lora_down.weight"] == [3, 1, 3, 3])
        #expect(shapes["\(stem)_down_blocks_0_0_depthwise.lora_up.weight"] == [8, 3, 1, 1])
        #expect(shapes["\(stem)_clf_1.lora_down.weight"] == [3, 8, 1, 1])
        let back = try Self.plugIns.open(InMemory(exported.tensors, exported.metadata))
        for (name, tensor) in question.lora.parameters {
            let found = try back.weights.required(name)
            #expect(try found.values(as: Float.self) == tensor.detached().values(as: Float.self), "\(name)")
        }
    }

    @Test func `diffusers has no place for kernels, and PEFT's dense convolutions are none`() throws {
        let (question, scratch) = (try question(), try Scratch())
        let file = try native(question.lora, question.model, in: scratch)
        let failure = try #require(throws: Failure.self) { _ = try Self.plugIns.export(file, as: .diffusers) }
        #expect(
            failure.blame == .input && failure.got == "`\(Self.kernel)`" && failure.place?.file == scratch["native"])
        let dense = try InMemory(
            [
                ("prior.\(Self.kernel).lora_A.weight", .full([8, 8, 3, 3], 0.5)),
                ("prior.\(Self.kernel).lora_B.weight", .full([8, 1, 1, 1], 0.5)),
            ], [:])
        let refused = try #require(throws: Failure.self) { _ = try Self.plugIns.open(dense) }
        #expect(refused.blame == .input && refused.advice?.contains("dense") == true, "\(refused)")
    }

    @Test func `stability adds one number to a whole kernel, or nothing`() throws {
        let (question, scratch) = (try question(), try Scratch())
        var reading = AdapterReading(architecture: question.model.stageC.configuration)
        reading.moduleFilters = ["depthwise"]
        let lora = try ModuleAdapter(
            LoRA(rank: 3, alpha: 6), on: ModuleSelection(["depthwise"]), of: question.model,
            generator: Generator(seed: 2))
        try stir(lora)
        let refused = try #require(throws: Failure.self) {
            _ = try Self.plugIns.export(native(lora, question.model, in: scratch), as: .stability, reading)
        }
        #expect(refused.blame == .input && refused.got == "`\(Self.kernel)`")

        // The same number for all nine is what the official code can hold.
        for (name, tensor) in lora.parameters where name.hasSuffix(".lora_down.weight") {
            let first = try withoutGradients { try tensor.sliced(1, 0..<1).expanded(tensor.shape).cloned() }
            try withoutGradients { try tensor.assign(first) }
        }
        let exported = try Self.plugIns.export(
            native(lora, question.model, in: scratch), as: .stability, reading
        ).main
        let shapes = exported.tensors.filter { $0.name.hasPrefix("weights.0.") }.map(\.tensor.shape)
        #expect(shapes == [[3, 1], [8, 3]])
        let back = try Self.plugIns.open(InMemory(exported.tensors, exported.metadata), reading)
        let read = try LoRA.kind.read(back, for: question.model.networks)
        try lora.attach()
        let expected = try question.output()
        lora.detach()
        try #require(read).attach()
        #expect(try relativeError(question.output(), expected) < 1e-5)
    }
}
