import Diffusion
import Failures
import Settings
import TestSupport
import Testing
import Torch

@Suite struct DiffusionTests {
    @Test(arguments: ["default", "shift", "offset_noise", "clamp_range", "constant", "min_snr", "snr", "adaptive"])
    func `a batch becomes what the formulas say`(_ name: String) throws {
        let golden = try Golden("diffuse_\(name)")
        let device = try testDevice()
        func input(_ key: String) throws -> Tensor {
            try #require(golden.tensors["in.\(key)"], "\(key)").made().to(device: device)
        }
        var fields = try Setting.parse(golden.arch, file: "arch.json").fields()
        var diffusion = try Diffusion(&fields)
        try diffusion.readTraining(&fields)
        let shift: Double = try fields.value("shift", default: 1)
        try fields.finish()
        let offset = diffusion.offsetNoise == 0 ? nil : try input("offset")
        let draw = Diffusion.Draw(epsilon: try input("epsilon"), level: .time(try input("t")), offset: offset)
        let noised = try diffusion(input("x0"), draw, shift: shift)
        let pairs = [
            ("noised", noised.latents), ("target", noised.target), ("logSNR", noised.logSNR),
            ("noise_cond", noised.noiseCondition), ("loss_weight", noised.lossWeight), ("a", noised.scales.signal),
            ("b", noised.scales.noise),
        ]
        for (key, ours) in pairs {
            let theirs = try #require(golden.tensors["out.\(key)"], "\(key)").made().to(device: device)
            // 1 - variance keeps three digits in float32 where t is 0, as in the reference.
            let scale = try max(1, theirs.variance(correction: 0).sqrt().item())
            #expect(try largestDifference(ours, theirs) < 1e-3 * scale, "\(key)")
        }
    }

    @Test func `a draw has offsets only where they count`() throws {
        var diffusion = Diffusion()
        let draws = Draws(seed: 6, places: 0..<2)
        let device = try testDevice()
        #expect(try diffusion.draw([4, 3, 5], device: device, from: draws).offset == nil)
        diffusion.offsetNoise = 0.1
        let draw = try diffusion.draw([4, 3, 5], device: device, from: draws)
        #expect(draw.offset?.shape == [2, 4, 1, 1])
        #expect(draw.epsilon.shape == [2, 4, 3, 5] && draw.epsilon.device == device)
    }

    @Test func `running losses and weights are the formula's, several losses in one bucket included`() throws {
        let golden = try Golden("adaptive_weight")
        func tensor(_ key: String) throws -> Tensor { try #require(golden.tensors[key], "\(key)").made() }
        let weight = try AdaptiveLossWeight()
        for batch in 0..<3 {
            let logSNR = try tensor("in.\(batch).logSNR")
            try weight.update(logSNR: logSNR, losses: tensor("in.\(batch).losses"))
            let weights = try LossWeight.adaptive(weight)(logSNR).values(as: Float.self)
            for (ours, key) in [(weight.running.means, "losses"), (weights, "weights")] {
                for (value, expected) in try zip(ours, tensor("out.\(batch).\(key)").values(as: Float.self)) {
                    #expect(abs(value - expected) <= 1e-5 * expected, "\(batch) \(key)")
                }
            }
        }
        // What was saved goes on as what it was saved from; what is of other buckets is refused.
        let restored = try AdaptiveLossWeight()
        try restored.running.restore(weight.running.means)
        #expect(restored.running.means == weight.running.means)
        let failure = try expectedFailure { try restored.running.restore([1, 2]) }
        #expect(failure.blame == .input)
    }

    @Test func `what learns is found wherever it stands`() throws {
        var fields = try Setting.parse(
            "{schedule: adaptive_train, loss_weight: {name: composed, mul: [p2, adaptive], div: adaptive}}",
            file: "c.yaml"
        ).fields()
        var diffusion = try Diffusion(&fields)
        try diffusion.readTraining(&fields)
        #expect(diffusion.learners.map(\.running.means.count) == [100, 300, 300])
        #expect(Diffusion().learners.isEmpty)
    }
}
