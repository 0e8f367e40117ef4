import Diffusion
import Failures
import Settings
import TestSupport
import Testing
import Torch

@Suite struct ScheduleTests {
    private func schedule(_ text: String) throws -> Schedule { try Setting.parse(text, file: "s.yaml").read() }

    @Test func `drawn times stay within 0.001 and 1 and are the seed's`() throws {
        func times() throws -> [Double] {
            guard case .time(let time) = try Schedule().draw(Draws(seed: 6, places: 0..<5000)) else { return [] }
            return try time.values()
        }
        let drawn = try times()
        #expect(drawn.count == 5000 && drawn.allSatisfy { $0 >= 0.000_999 && $0 <= 1 })
        #expect(abs(drawn.reduce(0, +) / 5000 - 0.5005) < 0.03)
        #expect(try times() == drawn)
    }

    @Test func `times may be counted in steps`() throws {
        let schedule = try schedule("{name: linear, discrete_steps: 5}")
        let counted = try schedule.logSNR(.time(Tensor([0, 1, 3, 4] as [Int])))
        #expect(try counted.values(as: Float.self) == [10, 5, -5, -10])
        let rounded = try schedule.logSNR(.time(Tensor([0.1, 0.3, 0.8, 1] as [Float])))
        #expect(try rounded.values(as: Float.self) == [10, 5, -5, -10])
    }

    @Test(arguments: [("edm_train", 2.4), ("{name: edm_train, reference_sign: true}", -2.4)])
    func `EDM's training noise has the paper's mean, or the reference's`(_ text: String, _ mean: Double) throws {
        let schedule = try schedule(text)
        #expect(!schedule.takesTimes)
        let logSNR = try schedule.logSNR(schedule.draw(Draws(seed: 7, places: 0..<4000)))
        // Deviation 2.4 over the root of 4000 is 0.04.
        #expect(try abs(logSNR.mean().item() - mean) < 0.16)
        #expect(try abs(logSNR.variance().sqrt().item() - 2.4) < 0.12)
        let failure = try expectedFailure { _ = try schedule.logSNR(.time(Tensor([0.5] as [Float]))) }
        #expect(failure.blame == .input && failure.what.contains("only draws"))
    }

    @Test func `an adaptive schedule draws where the loss is`() throws {
        let schedule = try AdaptiveTrainSchedule(logSNRRange: -4...4, buckets: 4)
        // Two losses of one bucket count by their mean; what lies outside the range teaches nothing.
        try schedule.update(
            logSNR: Tensor([-4, -3, 3.9, 4, 5] as [Float]), losses: Tensor([300, 100, 0, 9, 9] as [Float]))
        let means = schedule.running.means
        #expect(abs(means[0] - 2.99) < 1e-5 && means[1] == 1 && means[2] == 1 && abs(means[3] - 0.99) < 1e-6)
        let drawn = try schedule.draw(Draws(seed: 8, places: 0..<6000)).values(as: Double.self)
        #expect(drawn.allSatisfy { (-4...4).contains($0) })
        let share = Double(drawn.filter { $0 < -2 }.count) / 6000
        #expect(abs(share - 2.99 / 5.98) < 0.03)
    }

    @Test func `the network is told the time that was drawn`() throws {
        let time = try Tensor((5..<95).map { Float($0) / 100 })
        let told = try NoiseCondition()(Schedule().logSNR(.time(time)))
        #expect(try largestDifference(told, time) < 2e-3)
    }
}
