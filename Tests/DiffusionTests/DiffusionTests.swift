import Diffusion
import Failures
import TestSupport
import Testing
import Torch

/// A golden's tensors where the tests compute.
private struct Tensors {
    let golden: Golden
    let device: Device

    init(_ name: String) throws {
        golden = try Golden(name)
        device = try testDevice()
    }

    func callAsFunction(_ key: String) throws -> Tensor {
        let tensor = try #require(golden.tensors[key], "\(key)")
        return try Tensor(tensor.floats, shape: tensor.shape).to(device: device)
    }
}

/// The process whose values a golden's arch spells out in JSON.
private enum Case: String, CaseIterable {
    case standard = "default"
    case shift
    case offsetNoise = "offset_noise"
    case clampRange = "clamp_range"
    case constant
    case adaptive

    func process() throws -> (diffusion: Diffusion, shift: Double) {
        var diffusion = Diffusion()
        switch self {
        case .standard: break
        case .shift: diffusion.lossShift = 0.5
        case .offsetNoise: diffusion.offsetNoise = 0.1
        case .clampRange:
            diffusion.schedule.clampRange = 0.01...0.98
            diffusion.schedule.shift = 0.5
        case .constant: diffusion.lossWeight = .constant
        case .adaptive: diffusion.lossWeight = .adaptive(try AdaptiveLossWeight())
        }
        return (diffusion, self == .shift ? 2 : 1)
    }
}

@Suite struct DiffusionParityTests {
    @Test(arguments: Case.allCases) fileprivate func `a batch becomes what the formulas say`(_ name: Case) throws {
        let tensors = try Tensors("diffuse_\(name.rawValue)")
        let (diffusion, shift) = try name.process()
        let offset = diffusion.offsetNoise == 0 ? nil : try tensors("in.offset")
        let draw = try Diffusion.Draw(epsilon: tensors("in.epsilon"), time: tensors("in.t"), offset: offset)
        let noised = try diffusion(tensors("in.x0"), draw, shift: shift)
        let pairs = [
            ("noised", noised.latents), ("target", noised.target), ("logSNR", noised.logSNR),
            ("noise_cond", noised.noiseCondition), ("loss_weight", noised.lossWeight), ("a", noised.signal),
            ("b", noised.noise),
        ]
        for (key, ours) in pairs {
            let theirs = try tensors("out.\(key)")
            // 1 - variance keeps three digits in float32 where t is 0, as in the reference.
            let scale = try max(1, theirs.variance(correction: 0).sqrt().item())
            #expect(try largestDifference(ours, theirs) < 1e-3 * scale, "\(key)")
        }
    }

    @Test func `running losses and weights are the formula's, several losses in one bucket included`() throws {
        let tensors = try Tensors("adaptive_weight")
        let weight = try AdaptiveLossWeight()
        for batch in 0..<3 {
            let logSNR = try tensors("in.\(batch).logSNR")
            try weight.update(logSNR: logSNR, losses: tensors("in.\(batch).losses"))
            for (ours, key) in [(weight.losses, "losses"), (try LossWeight.adaptive(weight)(logSNR), "weights")] {
                let pairs = try zip(
                    ours.values(as: Double.self), tensors("out.\(batch).\(key)").values(as: Double.self))
                for (value, expected) in pairs { #expect(abs(value - expected) <= 1e-5 * expected, "\(batch) \(key)") }
            }
        }
        // What was saved goes on as what it was saved from.
        let restored = try AdaptiveLossWeight()
        try restored.restore(Tensor(weight.losses.values(as: Float.self)))
        #expect(try restored.losses.values(as: Float.self) == weight.losses.values())
    }
}

@Suite struct DiffusionTests {
    @Test func `signal and noise keep the variance`() throws {
        let logSNR = try Tensor((-12...12).map(Float.init))
        let (signal, noise) = try Diffusion.scales(logSNR)
        let sum = try signal.squared() + noise.squared()
        #expect(try largestDifference(sum, .full([25], 1)) < 1e-6)
    }

    @Test func `drawn times stay within 0.001 and 1 and are the seed's`() throws {
        let schedule = CosineSchedule()
        let times = try schedule.draw(5000, from: Generator(seed: 6)).values(as: Double.self)
        #expect(times.allSatisfy { $0 >= 0.000_999 && $0 <= 1 })
        #expect(abs(times.reduce(0, +) / 5000 - 0.5005) < 0.03)
        #expect(try schedule.draw(5000, from: Generator(seed: 6)).values(as: Double.self) == times)
    }

    @Test func `a draw has offsets only where they count`() throws {
        var diffusion = Diffusion()
        let generator = try Generator(seed: 6)
        let device = try testDevice()
        #expect(try diffusion.draw([2, 4, 3, 5], device: device, from: generator).offset == nil)
        diffusion.offsetNoise = 0.1
        let draw = try diffusion.draw([2, 4, 3, 5], device: device, from: generator)
        #expect(draw.offset?.shape == [2, 4, 1, 1])
        #expect((draw.epsilon.shape, draw.time.shape) == ([2, 4, 3, 5], [2]))
        #expect(draw.epsilon.device == device)
    }

    @Test func `the network is told the time that was drawn`() throws {
        let time = try Tensor((1...99).map { Float($0) / 100 })
        let told = try CosineNoiseCondition()(CosineSchedule().logSNR(time))
        // The schedule's limits on the variance move both ends a little.
        #expect(try largestDifference(told.sliced(0, 4..<95), time.sliced(0, 4..<95)) < 2e-3)
    }
}
