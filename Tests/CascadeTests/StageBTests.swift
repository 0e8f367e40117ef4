import Cascade
import Failures
import Layers
import Settings
import TestSupport
import Testing
import Torch

/// A golden's Stage B with what it is asked, where the tests compute.
private struct StageBGolden {
    let golden: TowerGolden
    let store: ParameterStore
    let network: StageB
    let latents: Tensor
    let time: Tensor
    var conditions: StageB.Conditions

    init(_ name: String, dtype: DType = .float32) throws {
        let golden = try TowerGolden("stage_b_\(name)")
        self.golden = golden
        let device = try testDevice()
        store = ParameterStore(from: golden.parameters(), dtype: dtype, device: device)
        network = try StageB(.read(Setting(golden.arch, file: golden.golden.path)), store.root)
        try store.finish()
        func input(_ name: String) throws -> Tensor { try golden.input(name).to(device: device).to(dtype: dtype) }
        latents = try input("x")
        time = try golden.input("r").to(device: device)
        conditions = .init(effnet: try input("effnet"), clip: try input("clip"))
        let keys = golden.golden.part("in").keys
        if keys.contains("pixels") { conditions.pixels = try input("pixels") }
        if keys.contains("sca") { conditions.times["sca"] = try golden.input("sca").to(device: device) }
    }

    func output() throws -> Tensor {
        try network(latents, time: time, conditions).to(device: .cpu).to(dtype: .float32)
    }
}

@Suite struct StageBTests {
    @Test(arguments: ["plain", "repeats", "odd_sides", "switch_level"])
    func `predicts what the peer predicts`(name: String) throws {
        let stage = try StageBGolden(name)
        #expect(try difference(stage.output(), stage.golden.output("out")) < 2e-4)
    }

    @Test func `stays near the peer where weights and activations are bfloat16`() throws {
        let stage = try StageBGolden("repeats", dtype: .bfloat16)
        #expect(try stage.network(stage.latents, time: stage.time, stage.conditions).dtype == .bfloat16)
        #expect(try relativeError(stage.output(), stage.golden.output("out")) < 3e-2)
    }

    @Test func `checkpointing changes neither output nor gradients`() throws {
        func pass(isCheckpointing: Bool) throws -> [Tensor] {
            let stage = try StageBGolden("repeats")
            stage.network.isCheckpointing = isCheckpointing
            try stage.store.setTrainable(true)
            let output = try stage.network(stage.latents, time: stage.time, stage.conditions)
            try output.squared().sum().backward()
            return try [output] + stage.store.parameters.map { try gradient(of: $0.tensor, $0.name) }
        }
        let (plain, saving) = (try pass(isCheckpointing: false), try pass(isCheckpointing: true))
        #expect(plain.count > 60)
        for (ours, theirs) in zip(saving, plain) {
            let scale = try max(1e-3, theirs.abs().values(as: Double.self).max() ?? 0)
            #expect(try largestDifference(ours, theirs) < 1e-5 * scale)
        }
    }

    @Test func `no image is an image of zeros, and a condition left out a time of 0`() throws {
        let without = try StageBGolden("plain")
        var with = without
        with.conditions.pixels = try .zeros([2, 3, 8, 8], device: without.latents.device)
        with.conditions.times["sca"] = try .zeros([2], device: without.latents.device)
        #expect(try difference(with.output(), without.output()) < 1e-5)
    }

    @Test func `every matrix product of the blocks is a place for adapters`() throws {
        let paths = try StageBGolden("repeats").store.projections.map(\.path)
        for path in [
            "down_blocks.2.2.attention.attn.to_q", "up_blocks.0.2.attention.attn.out_proj",
            "up_blocks.1.0.channelwise.0",
            "up_repeat_mappers.0.1", "effnet_mapper.2", "clip_mapper",
        ] { #expect(paths.contains(path), "\(path)") }
    }

    @Test func `inputs that do not fit are failures of the input`() throws {
        let stage = try StageBGolden("plain")
        func refused(_ shape: [Int]? = nil, _ change: (inout StageB.Conditions) throws -> Void = { _ in }) throws {
            var conditions = stage.conditions
            try change(&conditions)
            let device = stage.latents.device
            let failure = try failure {
                _ = try stage.network(
                    shape.map { try .zeros($0, device: device) } ?? stage.latents, time: stage.time, conditions)
            }
            #expect(failure.blame == .input)
        }
        for shape in [[2, 3, 16, 24], [2, 4, 15, 24], [2, 4, 4, 24], [2, 4, 0, 24], [4, 16, 24]] { try refused(shape) }
        try refused { $0.effnet = try .zeros([2, 16, 3, 2]) }
        try refused { $0.clip = try .zeros([2, 20]) }
        try refused { $0.pixels = try .zeros([2, 4, 8, 8]) }
        try refused { $0.times["crp"] = stage.time }
    }

    @Test func `what an architecture file leaves out has the reference's value`() throws {
        func read(_ text: String) throws -> StageBConfiguration { try .read(.parse(text, file: "b.yaml")) }
        #expect(try read("{}") == .large)
        #expect(
            try read("{c_hidden: [8, 8], nhead: [1, 1], blocks: [[1, 1], [1, 1]], level_config: [CT, CTA]}")
                .blockRepeat == [[1, 1], [1, 1]])
        #expect(try read("{switch_level: [true, false, true]}").switchLevel == [true, false, true])
        for (text, key) in [
            ("{c_effnet: 0}", "c_effnet"), ("{nhead: [-1, -1, 20, 0]}", "nhead"),
            ("{c_clip_text: 1280}", "c_clip_text"),
            ("{block_repeat: [[1, 1], [1, 1]]}", "block_repeat"), ("{switch_level: [true]}", "switch_level"),
        ] {
            let failure = try failure { _ = try read(text) }
            #expect(failure.blame == .input)
            #expect(failure.what.contains(key))
        }
    }
}
