import Failures
import Optimization
import Settings
import TestSupport
import Testing

/// Rates of fifty updates with eight of warm-up, held to torch's and transformers' schedules.
@Suite struct ScheduleTests {
    private func course(_ text: String) throws -> LearningRateSchedule.Course {
        try Setting.parse(text, file: "run.yaml").read()
    }

    @Test(arguments: [
        ("constant", "constant"), ("linear", "{name: linear, min_lr_ratio: 0.1}"), ("cosine", "cosine"),
        ("cosine_least", "{name: cosine, min_lr_ratio: 0.1}"), ("restarts", "{name: cosine_with_restarts, cycles: 4}"),
    ])
    func `rates are the source's`(part: String, text: String) throws {
        let expected = try #require(Golden("optimizers").tensors["schedule.\(part)"]).floats
        let schedule = LearningRateSchedule(full: 1, warmupUpdates: 8, updates: 50, course: try course(text))
        #expect(expected.count == 50)
        for (index, theirs) in expected.enumerated() {
            #expect(abs(schedule(index + 1) - Double(theirs)) < 1e-5 * Double(theirs), "update \(index + 1)")
        }
    }

    @Test func `no update is without effect`() throws {
        for text in ["constant", "linear", "cosine", "{name: cosine_with_restarts, cycles: 3}"] {
            for warmup in [0, 1, 7, 20, 30] {
                let schedule = LearningRateSchedule(
                    full: 0.5, warmupUpdates: warmup, updates: 20, course: try course(text))
                for update in 1...20 { #expect(schedule(update) > 0 && schedule(update) <= 0.5) }
            }
        }
        // A run that goes on past what was planned keeps the least rate.
        let over = LearningRateSchedule(full: 1, updates: 20, course: .cosine(least: 0.25, cycles: 2))
        #expect(over(21) == 0.25 && over(300) == 0.25)
    }

    @Test(arguments: [
        "cosin", "{name: linear, cycles: 2}", "{name: cosine, min_lr_ratio: 2}", "[cosine]", "{cycles: 2}",
    ])
    func `what is no schedule is refused`(text: String) throws {
        let failure = try expectedFailure { _ = try course(text) }
        #expect(failure.blame == .input && failure.place?.file == "run.yaml")
    }
}
