import Diffusion
import Foundation
import JSON
import Loading
import Optimization
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing
import Torch
import Weights

@testable import Training

extension TrainingRuns {
    /// The loop with a clock, interruptions and a task of the tests' own.
    @Suite struct Loop {
        @Test func `an interruption after two updates saves those, and the run goes on as if there were none`() throws {
            let (whole, parts) = (try Run(.lora), try Run(.lora))
            let asked = Atomic<Int>(0)
            var options = RunOptions()
            // Asked before each update.
            options.interruption = RunInterruption {
                asked.wrappingAdd(1, ordering: .relaxed).newValue > 2
            }
            let outcome = try #require(try parts(["updates": "5"], options: options))
            #expect(outcome.updates == 2 && !outcome.isComplete && asked.load(ordering: .relaxed) == 3)
            #expect(try parts.metrics().compactMap { $0["step"]?.intValue } == [1, 2])
            #expect(try parts(["updates": "5"])?.isComplete == true)
            try whole(["updates": "5"])
            #expect(try parts.bytes(parts.weights) == whole.bytes(whole.weights))
            #expect(try parts.metrics() == whole.metrics())
        }

        @Test func `the log has the seconds and the report the date of the clock that is handed in`() throws {
            let run = try Run(.lora)
            let ticks = Atomic<Int>(0)
            var options = RunOptions()
            options.clock = RunClock(
                seconds: { Double(ticks.wrappingAdd(1, ordering: .relaxed).newValue) / 4 }, date: { 86_400 })
            try run(options: options)
            let lines = try run.text(run.scratch["output/run/metrics.jsonl"]).split(separator: "\n")
            for line in try lines.map({ try JSON.parse(String($0), file: "metrics.jsonl") }) {
                // An update reads the clock twice; 4 samples in a quarter of a second are 16 in a second.
                #expect(line["seconds"]?.doubleValue == 0.25 && line["samples_per_second"]?.doubleValue == 16)
            }
            #expect(lines.count == 3)
            #expect(try run.text(run.scratch["output/run/report.html"]).contains("<td>1970-01-02T00:00:00Z</td>"))
        }

        @Test func `a gradient that is not finite takes a run with fused steps back to its checkpoint`() throws {
            let keys = ["fused_backward": "true", "updates": "9", "save_every": "2"]
            let (run, expected) = (try Lesson(keys), try Lesson(keys))
            run.spoilt = [6]
            let outcome = try run.loop(run.task) { try run.loader($0) }
            #expect(outcome.isComplete && outcome.updates == 9)
            // As if there had been no updates 5 and 6, but that their samples are passed and their draws spent.
            var state = try expected.state()
            let loader = try expected.loader(LoaderState())
            defer { loader.stop() }
            let update = Update(run: expected.loop.run, seed: expected.loop.seed, clock: .system)
            for number in 1...9 {
                let batch = try loader.next()
                guard number != 5 && number != 6 else { continue }
                state.progress.updates = number - 1
                _ = try update(&state) { batch }
            }
            #expect(try run.values() == expected.values())
            let info = try JSON.read("\(run.scratch["checkpoints/run"])/info.json")
            #expect(info["bad_steps"]?.intValue == 2 && info["updates"]?.intValue == 9)
            #expect(state.optimizer.updates == 7)
            // Goes on where it is at the end, and a run that is spoilt again and again ends.
            let hopeless = try Lesson(keys.merging(["max_bad_steps": "3", "updates": "90"]) { $1 })
            hopeless.spoilt = Set(stride(from: 4, to: 90, by: 2))
            let failure = try expectedFailure { _ = try hopeless.loop(hopeless.task) { try hopeless.loader($0) } }
            #expect(failure.blame == .run && failure.advice?.contains("of update 2") == true, "\(failure)")
        }

        @Test func `without a recorder the same is learned and nothing is written`() throws {
            let (recorded, silent) = (try Lesson(), try Lesson())
            let outcome = try recorded.loop(recorded.task) { try recorded.loader($0) }
            #expect(outcome.isComplete && FileManager.default.fileExists(atPath: outcome.checkpoint))
            var state = try silent.state()
            let loader = try silent.loader(state.progress.loader)
            defer { loader.stop() }
            try silent.loop.train(&state, from: loader, nil) { _ in }
            #expect(state.progress.updates == 3 && state.progress.saved == 3)
            #expect(try silent.values() == recorded.values())
            #expect(try FileManager.default.contentsOfDirectory(atPath: silent.scratch.path).isEmpty)
        }
    }

    /// A single update.
    @Suite struct SingleUpdate {
        private func update(_ lesson: Lesson) -> Update {
            Update(run: lesson.loop.run, seed: lesson.loop.seed, clock: .system)
        }

        @Test func `an update that fails leaves everything as it was`() throws {
            let (lesson, undisturbed) = (try Lesson(accumulation: 2), try Lesson(accumulation: 2))
            var (state, expected) = (try lesson.state(), try undisturbed.state())
            let loader = try lesson.loader(LoaderState())
            defer { loader.stop() }
            let batches = try (0..<2).map { _ in try loader.next() }
            func train(_ lesson: Lesson, _ state: inout TrainingState, _ batch: ImageBatch?) throws {
                _ = try update(lesson)(&state) {
                    guard let batch else { throw CancellationError() }
                    return batch
                }
            }
            try train(lesson, &state, batches[0])
            let (before, learned) = (state.progress.loader, lesson.learner.running.means)
            // Waiting for data in vain, and in the middle: the second micro batch.
            #expect(throws: CancellationError.self) { try train(lesson, &state, nil) }
            lesson.partsUntilFailure = 1
            #expect(throws: CancellationError.self) { try train(lesson, &state, batches[1]) }
            lesson.partsUntilFailure = nil
            #expect(state.progress.updates == 1 && state.optimizer.updates == 1)
            #expect(state.progress.loader == before && lesson.learner.running.means == learned)
            #expect(try lesson.weights.gradient() == nil)
            try train(lesson, &state, batches[1])
            for batch in batches { try train(undisturbed, &expected, batch) }
            #expect(try lesson.values() == undisturbed.values())
            #expect(lesson.learner.running.means == undisturbed.learner.running.means)
            #expect(state.progress.loss == expected.progress.loss)
        }

        @Test func `a part that holds nothing of what is trained adds a zero gradient`() throws {
            let lesson = try Lesson(accumulation: 2)
            var state = try lesson.state()
            let loader = try lesson.loader(LoaderState())
            defer { loader.stop() }
            func mean() throws -> [Float] {
                try #require(state.optimizer.state.first { $0.name == "exp_avg.weights" }).tensor.values()
            }
            lesson.isShared = [true, false]
            _ = try update(lesson)(&state) { try loader.next() }
            let first = try mean()
            #expect(first.allSatisfy { $0 != 0 })
            // A whole update without: Adam's mean of gradients takes in a zero, which it would not take of a missing one.
            lesson.isShared = [false, false]
            let made = try update(lesson)(&state) { try loader.next() }
            #expect(made.isGood && made.gradientNorm == 0 && state.optimizer.updates == 2)
            for (now, before) in zip(try mean(), first) { #expect(abs(now - 0.9 * before) < 1e-6 * abs(before)) }
        }

        @Test func `a bad update counts, passes its samples and changes nothing else`() throws {
            let lesson = try Lesson()
            var state = try lesson.state()
            let loader = try lesson.loader(LoaderState())
            defer { loader.stop() }
            lesson.factor = .nan
            let (values, learned) = (try lesson.values(), lesson.learner.running.means)
            let batch = try loader.next()
            let made = try update(lesson)(&state) { batch }
            #expect(!made.isGood && made.number == 1 && made.loss.isNaN && made.samples == batch.places)
            #expect(state.progress.updates == 1 && state.progress.bad == .init(total: 1, inARow: 1))
            #expect(state.progress.loader == batch.stateAfter && state.progress.loss == nil)
            #expect(try lesson.values() == values && lesson.learner.running.means == learned)
            #expect(try lesson.weights.gradient() == nil && state.optimizer.updates == 0)
        }
    }
}

/// Three numbers that learn to weigh what is drawn, beside the tiny world's data.
private final class Lesson {
    let scratch: Scratch
    let loop: TrainLoop
    let weights: Tensor
    let learner: AdaptiveLossWeight
    /// What the losses are multiplied by.
    var factor = 1.0
    /// How many micro batches there are until one fails; nil where none does.
    var partsUntilFailure: Int?
    /// Whether the next losses hang on the weights.
    var isShared: [Bool] = []
    private let parts: RecipeParts

    /// Passes, from 1, whose loss is a number and whose gradient is none.
    var spoilt: Set<Int> = []
    private var passes = 0

    init(accumulation: Int = 1, _ changes: [String: String] = [:]) throws {
        scratch = try Scratch()
        let keys = ["grad_accum_steps": String(accumulation), "ema_start_iters": "1", "ema_iters": "1"]
        let text = try TinyWorld.shared().configuration(in: scratch, keys.merging(changes) { $1 })
        var fields = try Setting.parse(text, file: "run.yaml").fields()
        parts = try RecipeParts(
            RunConfiguration(&fields, trainsWhole: true), RunOptions(), Console(isTerminal: false) { _ in })
        loop = parts.loop
        weights = try Tensor([0.5, -0.5, 1] as [Float])
        try weights.setRequiresGrad(true)
        learner = try AdaptiveLossWeight()
    }

    var task: TrainingTask {
        TrainingTask(
            name: "lesson", groups: [ParameterGroup([("weights", weights)], weightDecay: 0.01)],
            loss: { [self] batch, draws in
                if partsUntilFailure == 0 { throw CancellationError() }
                partsUntilFailure = partsUntilFailure.map { $0 - 1 }
                let drawn = try draws.normal(.noise, [3])
                let error = try (drawn * weights).mean([1]) - 1  // [B]
                let losses = try error * error * factor
                let logSNR = try drawn.mean([1])
                var weighted = try isShared.isEmpty || isShared.removeFirst() ? losses.mean() : losses.mean().detached()
                passes += 1
                // The root of zero has no slope.
                if spoilt.contains(passes) { weighted = try weighted + (weights * 0).sqrt().sum() }
                return TrainingLoss(weighted: weighted, perSample: try losses.detached(), logSNR: logSNR)
            },
            write: { [weights] path, _ in try SafetensorsWriter.writeHashed([("weights", weights)], to: path) },
            restored: [("weights", weights)],
            evaluation: Evaluation(measure: nil, measureSwapped: nil) { _ in nil }, learners: [learner])
    }

    func state() throws -> TrainingState { try TrainingState(task, loop.run) }

    func loader(_ state: LoaderState) throws -> BatchLoader {
        try BatchLoader(
            shards: parts.shards, preparation: parts.preparation, options: loop.run.loaderOptions(seed: loop.seed),
            from: state)
    }

    func values() throws -> [Float] { try weights.detached().values() }
}
