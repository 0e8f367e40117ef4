import Diffusion
import Settings
import TestSupport
import Testing
import Torch

/// Every part of the framework by its name in a configuration, against formulas in float64.
@Suite struct FamilyParityTests {
    private let golden: Golden
    private let arch: Setting
    private let device: Device

    init() throws {
        golden = try Golden("diffusion")
        arch = try Setting.parse(golden.arch, file: "arch.json")
        device = try testDevice()
    }

    private func input(_ name: String) throws -> Tensor {
        try #require(golden.tensors["in.\(name)"], "\(name)").made().to(device: device)
    }

    private func expect(_ ours: Tensor, is key: String, _ setting: Setting? = nil) throws {
        let theirs = try #require(golden.tensors["out.\(key)"], "\(key)").made().to(device: device)
        let deviation = try theirs.variance(correction: 0).sqrt().item()
        let difference = try largestDifference(ours, theirs)
        #expect(difference <= 1e-5 * (deviation > 1e-6 ? deviation : 1), "\(key) \(setting.map { "\($0.json)" } ?? "")")
    }

    private func settings(_ family: String) throws -> [Setting] { try #require(arch[family]?.elements) }

    @Test func `schedules are the papers'`() throws {
        let shift: Double = try #require(arch["shift"]).read()
        for (index, setting) in try settings("schedule").enumerated() {
            let schedule: Schedule = try setting.read()
            try expect(schedule.logSNR(.time(input("t")), callShift: shift), is: "schedule.\(index)", setting)
        }
    }

    @Test func `noise conditions are the papers'`() throws {
        for (index, setting) in try settings("noise_cond").enumerated() {
            let condition: NoiseCondition = try setting.read()
            try expect(condition(input("logSNR")), is: "noise_cond.\(index)", setting)
        }
    }

    @Test func `loss weights are the papers'`() throws {
        for (index, setting) in try settings("loss_weight").enumerated() {
            let weight: LossWeight = try setting.read()
            try expect(weight(input("logSNR")), is: "loss_weight.\(index)", setting)
        }
    }

    @Test(arguments: Scaler.allCases) func `a target leads back to data and noise`(_ scaler: Scaler) throws {
        let (x0, epsilon) = try (input("x0"), input("epsilon"))
        let scales = try scaler(input("logSNR"))
        try expect(scales.signal, is: "a.\(scaler.rawValue)")
        try expect(scales.noise, is: "b.\(scaler.rawValue)")
        let tall = try scales.perSample
        let noised = try x0 * tall.signal + epsilon * tall.noise
        for target in Target.allCases {
            let wanted = try target(x0: x0, epsilon: epsilon, tall)
            try expect(wanted, is: "target.\(scaler.rawValue).\(target.rawValue)")
            let estimate = try target.estimate(noised, wanted, tall)
            // Dividing by a share of a 25th costs float32 its last digits.
            #expect(try largestDifference(estimate.x0, x0) < 1e-4, "\(target)")
            #expect(try largestDifference(estimate.epsilon, epsilon) < 1e-4, "\(target)")
        }
    }
}
