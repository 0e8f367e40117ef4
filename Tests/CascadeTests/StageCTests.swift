import Cascade
import Failures
import JSON
import Layers
import Settings
import TestSupport
import Testing
import Torch

/// A Stage C of a golden, its parameters where the tests compute.
private func stageC(_ golden: TowerGolden, dtype: DType = .float32) throws -> StageC {
    let store = ParameterStore(from: golden.parameters(), dtype: dtype, device: try testDevice())
    return try StageC(configuration(golden), store)
}

private func configuration(_ golden: TowerGolden) throws -> StageCConfiguration {
    try StageCConfiguration.read(Setting(golden.arch, file: golden.golden.path))
}

/// The golden's latents, time and conditions.
private func inputs(
    _ golden: TowerGolden, dtype: DType = .float32
) throws -> (latents: Tensor, time: Tensor, conditions: StageC.Conditions) {
    let device = try testDevice()
    func input(_ name: String) throws -> Tensor { try golden.input(name).to(device: device).to(dtype: dtype) }
    var conditions = StageC.Conditions(
        clipText: try input("clip_text"), clipTextPooled: try input("clip_text_pooled"),
        clipImage: try input("clip_img"))
    for key in golden.golden.part("in").keys {
        if let index = Int(key.dropFirst("cnet.".count)), key.hasPrefix("cnet.") {
            conditions.injections[index] = try input(key)
        } else if ["sca", "crp"].contains(key) {
            conditions.times[key] = try golden.input(key).to(device: device)
        }
    }
    return (try input("x"), try golden.input("r").to(device: device), conditions)
}

@Suite struct StageCParityTests {
    private static let goldens = [
        "plain", "injections", "switch_level", "no_self_attention", "repeats", "three_levels",
    ].map { "stage_c_\($0)" }

    @Test(arguments: goldens) func `predicts what the peer predicts`(name: String) throws {
        let golden = try TowerGolden(name)
        let (latents, time, conditions) = try inputs(golden)
        let output = try stageC(golden)(latents, time: time, conditions)
        #expect(try difference(output.to(device: .cpu), golden.output("out")) < 2e-4)
    }

    @Test func `stays near the peer where weights and activations are bfloat16`() throws {
        let golden = try TowerGolden("stage_c_injections")
        let (latents, time, conditions) = try inputs(golden, dtype: .bfloat16)
        let output = try stageC(golden, dtype: .bfloat16)(latents, time: time, conditions)
        #expect(output.dtype == .bfloat16)
        #expect(try relativeError(output.to(device: .cpu).to(dtype: .float32), golden.output("out")) < 0.05)
    }

    @Test func `computes in float32 with weights stored as bfloat16`() throws {
        let golden = try TowerGolden("stage_c_plain")
        let (latents, time, conditions) = try inputs(golden)
        let stored = try stageC(golden, dtype: .bfloat16)
        let widened = ParameterStore(
            from: StoredParameters(
                name: "widened", available: stored.store.tensors.map(\.name),
                lookUp: { try stored.store[$0]?.to(dtype: .float32) }), device: try testDevice())
        let output = try stored(latents, time: time, conditions)
        let expected = try StageC(configuration(golden), widened)(latents, time: time, conditions)
        #expect(try difference(output, expected) < 1e-5)
    }

    /// Output and gradients of every parameter, the latents, the text and the injections.
    private func pass(_ golden: TowerGolden, isCheckpointing: Bool) throws -> [(name: String, tensor: Tensor)] {
        let network = try stageC(golden)
        network.isCheckpointing = isCheckpointing
        try network.store.setTrainable(true)
        let (latents, time, conditions) = try inputs(golden)
        var leaves = network.store.parameters
        leaves += [("x", latents), ("clip_text", conditions.clipText)]
        leaves += conditions.injections.sorted { $0.key < $1.key }.map { ("cnet.\($0.key)", $0.value) }
        for leaf in leaves { try leaf.tensor.setRequiresGrad(true) }
        let output = try network(latents, time: time, conditions)
        try output.squared().sum().backward()
        return try [("out", output)] + leaves.map { ($0.name, try gradient(of: $0.tensor, $0.name)) }
    }

    @Test(arguments: ["stage_c_injections", "stage_c_repeats", "stage_c_three_levels"])
    func `checkpointing changes neither output nor gradients`(name: String) throws {
        let golden = try TowerGolden(name)
        let plain = try pass(golden, isCheckpointing: false)
        let saving = try pass(golden, isCheckpointing: true)
        #expect(plain.count > 60)
        for (ours, theirs) in zip(saving, plain) {
            let scale = try max(1e-3, theirs.tensor.abs().values(as: Double.self).max() ?? 0)
            #expect(try largestDifference(ours.tensor, theirs.tensor) < 1e-5 * scale, "\(ours.name)")
        }
    }
}

@Suite struct StageCTests {
    @Test func `injections past the last residual block are a failure of the input`() throws {
        let golden = try TowerGolden("stage_c_injections")
        let network = try stageC(golden)
        let count = network.configuration.injectionPoints
        #expect(count == 6)  // blocks 1 + 2 down, 2 + 1 up, one residual block each
        for index in [count, -1, Int.max] {
            let (latents, time, given) = try inputs(golden)
            var conditions = given
            conditions.injections[index] = try #require(given.injections.values.first as Tensor?)
            let failure = try failure { _ = try network(latents, time: time, conditions) }
            #expect(failure.blame == .input)
            #expect(failure.expected == "0 to 5")
        }
    }

    @Test func `inputs that do not fit are failures`() throws {
        let golden = try TowerGolden("stage_c_three_levels")
        let network = try stageC(golden)
        let (latents, time, conditions) = try inputs(golden)
        let device = latents.device
        func refused(_ latents: Tensor, _ conditions: StageC.Conditions) throws -> Failure {
            try failure { _ = try network(latents, time: time, conditions) }
        }
        for shape in [[1, 4, 10], [1, 3, 10, 14], [1, 4, 9, 14], [1, 4, 0, 14], [1, 4, 2, 14], [0, 4, 10, 14]] {
            #expect(try refused(.zeros(shape, device: device), conditions).blame == .input, "\(shape)")
        }
        var changed = conditions
        changed.times["aesthetic"] = time
        #expect(try refused(latents, changed).what.contains("aesthetic"))
        changed = conditions
        changed.injections[0] = try .zeros([1, 3, 4, 4], device: device)
        #expect(try refused(latents, changed).expected == "8 channels")
        changed.injections[0] = try .zeros([8], device: device)
        #expect(try refused(latents, changed).blame == .input)
        changed = conditions
        changed.clipText = try .zeros([1, 5, 21], device: device)
        #expect(try !refused(latents, changed).what.isEmpty)
        changed = conditions
        changed.clipTextPooled = try .zeros([], device: device)
        #expect(try !refused(latents, changed).what.isEmpty)
    }

    /// What `check` says of a configuration with one value changed.
    private func problem(_ change: (inout StageCConfiguration) -> Void) -> String? {
        var configuration = StageCConfiguration.large
        change(&configuration)
        do {
            try configuration.check()
            return nil
        } catch let failure as Failure {
            return failure.blame == .input ? failure.what : nil
        } catch { return nil }
    }

    @Test func `values that cannot be are named`() {
        #expect(problem { _ in } == nil)
        func expect(_ key: String, _ change: (inout StageCConfiguration) -> Void) {
            #expect(problem(change) == "stage C cannot have this `\(key)`")
        }
        expect("c_hidden") { $0.hidden = [] }
        expect("c_hidden") { $0.hidden = [2048, 0] }
        expect("c_hidden") { $0.hidden = [Int](repeating: 8, count: 9) }
        expect("c_in") { $0.inputs = 0 }
        expect("c_out") { $0.outputs = -16 }
        expect("patch_size") { $0.patchSize = Int.max }
        expect("c_r") { $0.timeWidth = 2 }
        expect("kernel_size") { $0.kernelSize = 4 }
        expect("nhead") { $0.heads = [32] }
        expect("nhead") { $0.heads = [32, 31] }
        expect("nhead") { $0.heads = [0, 32] }
        expect("nhead") { $0.heads = [-1, 32] }
        expect("level_config") { $0.levelConfiguration = ["CTA"] }
        expect("level_config") { $0.levelConfiguration = ["CTA", "CTX"] }
        expect("level_config") { $0.levelConfiguration = ["CTA", ""] }
        expect("blocks") { $0.blocks = [[8, 24]] }
        expect("blocks") { $0.blocks = [[8, 24], [24]] }
        expect("blocks") { $0.blocks = [[8, 24], [24, 0]] }
        expect("blocks") { $0.blocks = [[8, Int.max], [24, 8]] }
        expect("block_repeat") { $0.blockRepeat = [[1, 1], [1, -1]] }
        expect("self_attn") { $0.selfAttention = [true] }
        expect("switch_level") { $0.switchLevel = [] }
        // A level without attention needs no heads that divide its width.
        #expect(problem { ($0.levelConfiguration, $0.heads) = (["CT", "CTA"], [-1, 32]) } == nil)
    }

    @Test func `published sizes have the published injection points`() {
        #expect(StageCConfiguration.large.injectionPoints == 64)
        #expect(StageCConfiguration.lite.injectionPoints == 32)
        var repeated = StageCConfiguration.lite
        repeated.blockRepeat = [[1, 2], [3, 1]]
        #expect(repeated.injectionPoints == 4 + 24 + 36 + 4)
        repeated.levelConfiguration = ["CTAC", "TAF"]
        #expect(repeated.injectionPoints == 2 * (4 + 4))
    }

    @Test func `the last layer starts at zero, so that a new network predicts nothing`() throws {
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 1)))
        let network = try StageC(.tiny, store)
        let c = StageCConfiguration.tiny
        let conditions = StageC.Conditions(
            clipText: try .full([1, 3, c.clipTextWidth], 1),
            clipTextPooled: try .full([1, 1, c.clipTextPooledWidth], 1),
            clipImage: try .full([1, 1, c.clipImageWidth], 1))
        let output = try network(.full([1, 16, 4, 4], 1), time: Tensor([Float(0.5)]), conditions)
        #expect(output.shape == [1, 16, 4, 4])
        #expect(try output.abs().sum().item() == 0)
    }
}
