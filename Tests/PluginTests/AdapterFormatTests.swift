import AdapterKit
import AdapterTesting
import Cascade
import Failures
import Files
import Foundation
import JSON
import LearnedTokens
import LoRA
import TestSupport
import Testing
import Torch
import Weights

private let plugIns = PlugIns(filters: [], adapters: [LoRA.kind, LearnedTokens.kind])

/// Exported files beside the rules of the programs they are for.
@Suite struct AdapterFormatTests {
    /// A native LoRA of rank 1 on every module of a network, all zeros.
    private func loraOnEverything(_ configuration: StageCConfiguration) throws -> AdapterFile {
        let tensors = try configuration.modules().flatMap { module in
            [
                ("\(module.path).lora_down.weight", try Tensor.zeros([1, module.inputs])),
                ("\(module.path).lora_up.weight", try Tensor.zeros([module.outputs, 1])),
            ]
        }
        return try AdapterFile(InMemory(tensors, ["kind": "lora", "rank": "1", "alpha": "1"]))
    }

    private func part(of file: AdapterFile, _ isKept: (String) -> Bool) throws -> AdapterFile {
        let kept = file.weights.entries.filter { isKept($0.name) }
        return try AdapterFile(
            InMemory(kept.map { ($0.name, try file.weights.required($0.name)) }, file.weights.metadata))
    }

    private func peer(_ size: String, _ format: String) throws -> JSON {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Goldens/adapter_keys.json").path
        return try #require(try JSON.read(path)[size]?[format])
    }

    private func expect(_ names: [String], are peer: JSON, _ comment: Comment) throws {
        #expect(peer["count"]?.intValue == names.count, comment)
        for sample in peer["samples"]?.arrayValue ?? [] {
            #expect(names.contains(sample.stringValue ?? ""), "\(sample) \(comment)")
        }
        let scratch = try Scratch()
        try scratch.write(names.joined(separator: "\n"), to: "names")
        #expect(try peer["sha256"]?.stringValue == SHA256.hex(ofFile: scratch["names"]), comment)
    }

    @Test(arguments: ["3.6B", "1B"]) func `every module has the programs' names`(_ size: String) throws {
        let known = try #require(StageCConfiguration.known.first { $0.name == size })
        let file = try loraOnEverything(known.configuration)
        for (format, suffix) in [
            (AdapterFormat.kohya, ".lora_up.weight"), (.comfyui, ".lora_up.weight"), (.diffusers, ".lora_B.weight"),
        ] {
            // PEFT's LoRA of a depthwise convolution is another thing.
            let held = format == .diffusers ? try part(of: file) { !$0.contains("depthwise") } : file
            let names = try plugIns.export(held, as: format).main.tensors.map(\.name)
            let modules = names.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }
            try expect(modules.sorted(), are: peer(size, format.rawValue), "\(size) \(format)")
        }
        for filters in [[".attn"], [".attn", "channelwise"], [""]] {
            var reading = AdapterReading()
            reading.moduleFilters = filters
            let selected = try part(of: file) { $0.contains(".attention.attn.") }
            let tensors = try plugIns.export(selected, as: .stability, reading).main.tensors
            let lines = tensors.filter { $0.name.hasPrefix("weights.") }.map { "\($0.name) \($0.tensor.shape)" }
            try expect(
                lines, are: peer(size, "stability " + filters.joined(separator: ",")), "\(size) \(filters)")
        }
    }

    /// A LoRA on one module of the tiny base, as kohya's scripts would name it.
    private static func kohya(
        _ changes: [String: Tensor?] = [:], name: String = "lora_unet_down_blocks_0_0_channelwise_4"
    ) throws -> InMemory {
        var tensors: [String: Tensor] = [
            "\(name).lora_down.weight": try .full([2, 64], 0.5), "\(name).lora_up.weight": try .full([16, 2], 0.25),
            "\(name).alpha": try .full([], 3),
        ]
        for (key, tensor) in changes { tensors[key] = tensor }
        return try InMemory(tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, [:])
    }

    @Test func `ranks and alphas may differ by module`() throws {
        let name = "lora_unet_down_blocks_0_0_channelwise_0"
        let file = try plugIns.open(
            Self.kohya([
                "\(name).lora_down.weight": .full([4, 16], 0.5), "\(name).lora_up.weight": .full([64, 4], 1),
                "\(name).alpha": .full([], 1),
            ]))
        let world = try AdaptedWorld()
        let found = try LoRA.kind.read(file, for: world.model.networks)
        let lora = try #require(found)
        let weight = try #require(world.model.stageC.store["down_blocks.0.0.channelwise.4.weight"])
        let before = try weight.cloned()
        try lora.fuse()
        // 3 / 2 · 2 · 0.25 · 0.5
        #expect(try (weight - before - 0.375).abs().values(as: Float.self).max() ?? 1 < 1e-6)
        let scratch = try Scratch()
        try write(lora, world.model, to: scratch["lora"])
        let native = try AdapterFile(scratch["lora"])
        #expect(try native.described("rank_pattern").objectValue?.count == 1)
        let again = try LoRA.kind.read(native, for: AdaptedWorld().model.networks)
        #expect(again?.parameters.map { $0.tensor.shape } == lora.parameters.map { $0.tensor.shape })
    }

    @Test func `several LoRAs add up on one module`() throws {
        let world = try AdaptedWorld()
        let base = try world.answer()
        let loras = try (1...2).map { seed in
            try ModuleAdapter(
                LoRA(rank: 2), on: ModuleSelection(["clf"]), of: world.model, generator: Generator(seed: UInt64(seed)))
        }
        var alone: [Tensor] = []
        for lora in loras {
            try stir(lora)
            try lora.attach()
            alone.append(try world.answer() - base)
            lora.detach()
        }
        for lora in loras { try lora.attach() }
        #expect(try relativeError(world.answer() - base, alone[0] + alone[1]) < 1e-3)
        loras[0].detach()
        #expect(try relativeError(world.answer() - base, alone[1]) < 1e-3)
    }

    @Test func `halves load as float32`() throws {
        let file = try Self.kohya([
            "lora_unet_down_blocks_0_0_channelwise_4.lora_up.weight": .full([16, 2], 0.25).to(dtype: .bfloat16),
            "lora_unet_down_blocks_0_0_channelwise_4.lora_down.weight": .full([2, 64], 0.5).to(dtype: .float16),
        ])
        let lora = try LoRA.kind.read(plugIns.open(file), for: AdaptedWorld().model.networks)
        #expect(lora?.parameters.allSatisfy { $0.tensor.dtype == .float32 && $0.tensor.requiresGrad } == true)
    }

    private static let module = "lora_unet_down_blocks_0_0_channelwise_4"

    @Test(
        arguments: [
            ([".lora_down.weight": nil], "lacks one"), ([".lora_up.weight": nil], "lacks one"),
            ([".alpha": [2]], "single number"), ([".lora_down.weight": [0, 64]], "rank above 0"),
            ([".lora_down.weight": [3, 64]], "do not fit each other"),
            ([".lora_down.weight": [2, 64, 3, 3]], "down matrix"),
            ([".lora_up.weight": [15, 2]], "does not fit this network"), ([".dora_scale": [16]], "DoRA"),
            ([".hada_w1_a": [2, 2]], "LoHa"), ([".lokr_w1": [2, 2]], "LoKr"),
        ] as [([String: [Int]?], String)])
    func `what cannot be used is refused`(_ changes: [String: [Int]?], _ what: String) throws {
        var tensors: [String: Tensor?] = [:]
        for (suffix, shape) in changes {
            tensors[Self.module + suffix] = .some(try shape.map { try Tensor.full($0, 0.5) })
        }
        let file = try Self.kohya(tensors)
        try expectRefusal(of: file, what)
    }

    @Test func `unknown modules, mixed formats and alphas that are no number are refused`() throws {
        try expectRefusal(of: Self.kohya([:], name: "lora_unet_middle_0"), "lora_unet_middle_0")
        try expectRefusal(of: Self.kohya([:], name: "lora_unet_up_blocks_0_7_channelwise_4"), "up_blocks.0.7")
        try expectRefusal(of: Self.kohya([:], name: "lora_decoder_unet_clf_1"), "Stage B")
        try expectRefusal(of: Self.kohya(["\(Self.module).alpha": .full([], .nan)]), "alpha")
        try expectRefusal(of: Self.kohya(["clf.1.lora_A.weight": .full([1, 1], 0)]), "mixes")
        try expectRefusal(of: Self.kohya(["something": .full([1], 0)]), "something")
        try expectRefusal(of: InMemory([("weights.0.lora_down", .zeros([1, 1]))], [:]), "numbered")
        try expectRefusal(
            of: InMemory([("weights.0.lora_down", .zeros([1, 9])), ("weights.0.lora_up", .zeros([9, 1]))], [:]),
            "module-filters")
        try expectRefusal(of: InMemory([("a", .zeros([1]))], [:]), "not an adapter")
    }

    private func expectRefusal(of file: InMemory, _ what: String) throws {
        let failure = try #require(throws: Failure.self) {
            _ = try LoRA.kind.read(plugIns.open(file), for: AdaptedWorld().model.networks)
        }
        #expect(failure.blame == .input && failure.place?.file == file.path)
        #expect("\(failure) \(failure.advice ?? "")".contains(what), "\(failure)")
    }
}

/// Tensors that no file lies under.
final class InMemory: NamedTensors {
    let path: String
    let entries: [TensorEntry]
    let metadata: [String: String]
    private let tensors: [String: Tensor]

    /// With a kind among its descriptions it is a native adapter.
    init(
        _ tensors: [(String, Tensor)], _ metadata: [String: String], path: String = "memory.safetensors"
    ) throws {
        self.path = path
        entries = tensors.map { TensorEntry(name: $0.0, dtype: $0.1.dtype, shape: $0.1.shape) }
        self.tensors = Dictionary(uniqueKeysWithValues: tensors)
        let native = ["format": AdapterFile.format, "format_version": AdapterFile.version]
        self.metadata = metadata["kind"] == nil ? metadata : metadata.merging(native) { $1 }
    }

    subscript(name: String) -> TensorEntry? { entries.first { $0.name == name } }
    func tensor(_ name: String) throws -> Tensor? { tensors[name] }
}
