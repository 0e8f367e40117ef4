import AdapterKit
import Failures
import Foundation
import JSON
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing
import Torch
import Training
import Weights

extension TrainingRuns {
    /// Whole runs of the recipes on a dozen images.
    @Suite struct Whole {
        @Test func `a base is trained, then a LoRA and a ControlNet on it`() throws {
            let world = try TinyWorld.shared()
            let base = try Run(.finetune)
            let trained = try #require(try base(["generator_checkpoint_path": "", "updates": "2"]))
            #expect(trained.isComplete && trained.updates == 2 && trained.checkpoint == base.weights)
            let before = try base.bytes(base.weights)
            for recipe in [Recipe.lora, .controlnet] {
                let run = try Run(recipe)
                let changes = world.heldOut.merging(
                    ["generator_checkpoint_path": base.weights, "save_every": "2", "backup_every": "2"]) { $1 }
                let outcome = try #require(try run(changes))
                #expect(outcome.isComplete && outcome.updates == 3)
                // The base is only read.
                #expect(try base.bytes(base.weights) == before)
                let metrics = try run.metrics()
                #expect(metrics.compactMap { $0["step"]?.intValue } == [1, 2, 3])
                #expect(metrics.compactMap { $0["lr"]?.doubleValue } == [0.005, 0.01, 0.01])
                #expect(metrics.allSatisfy { ($0["raw_loss"]?.doubleValue ?? 0) > 0 })
                let report = try #require(outcome.validation)
                #expect(report.triples == 4 && report.before.isFinite && report.after.isFinite)
                #expect((report.swapped != nil) == (recipe == .controlnet))
                let files = try Set(FileManager.default.contentsOfDirectory(atPath: outcome.output))
                let images: Set = ["000002.jpg", "000003.jpg"]
                #expect(files == images.union(["held_out.json", "metrics.jsonl", "report.html", "tensorboard"]))
                #expect(metrics.last?["validation_loss"]?.doubleValue == report.after)
                let file = try AdapterFile(outcome.checkpoint)
                #expect(file.trainedSteps == 3)
                #expect(file.kinds == (recipe == .lora ? ["lora", "tokens"] : ["controlnet"]))
                #expect(FileManager.default.fileExists(atPath: "\(run.checkpoints)/\(recipe.files)_2.safetensors"))
            }
        }

        @Test(arguments: Recipe.allCases)
        func `a run that goes on is the run in one go`(recipe: Recipe) throws {
            let (whole, parts) = (try Run(recipe), try Run(recipe))
            var changes = ["grad_accum_steps": "2", "adaptive_loss_weight": "true"]
            if recipe == .finetune { changes.merge(["schedule": "adaptive_train", "target": "v"]) { $1 } }
            try whole(changes.merging(["updates": "4"]) { $1 })
            try parts(changes.merging(["updates": "2"]) { $1 })
            try parts(changes.merging(["updates": "4"]) { $1 })
            #expect(parts.lines.contains("resumed at update 2"))
            #expect(try parts.bytes(parts.weights) == whole.bytes(whole.weights))
            #expect(try parts.bytes(parts.optimizer) == whole.bytes(whole.optimizer))
            #expect(try parts.metrics() == whole.metrics())
            #expect(try parts.text(parts.info) == whole.text(whole.info))
            // A finished run that is started again has nothing to do.
            let again = try #require(try parts(changes.merging(["updates": "4"]) { $1 }))
            #expect(again.isComplete && again.updates == 4)
            #expect(try parts.bytes(parts.weights) == whole.bytes(whole.weights))
        }

        @Test func `a seed repeats a run, and another changes it`() throws {
            func losses(_ seed: UInt64) throws -> [JSON] {
                let run = try Run(.lora)
                var options = RunOptions()
                options.seed = seed
                options.steps = 2
                try run(options: options)
                return try run.metrics()
            }
            let first = try losses(3)
            #expect(first.count == 2)
            #expect(try losses(3) == first)
            #expect(try losses(4) != first)
        }

        @Test(arguments: Recipe.allCases)
        func `a dry run checks and says all and writes nothing`(recipe: Recipe) throws {
            let run = try Run(recipe)
            var options = RunOptions()
            options.isDryRun = true
            #expect(try run(options: options) == nil)
            #expect(run.lines.contains { $0.hasPrefix("run: ") })
            #expect(run.lines.contains { $0.contains("trainable parameters, 3 updates of 4 samples, 1 shards") })
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.scratch.path).isEmpty)
        }

        @Test func `a run does not depend on how many threads load its data`() throws {
            let runs = try ["1", "3"].map { workers in
                let run = try Run(.lora)
                try run(["data_workers": workers])
                return run
            }
            #expect(try runs[0].bytes(runs[0].weights) == runs[1].bytes(runs[1].weights))
            let metrics = try runs[0].text(runs[0].scratch["output/run/metrics.jsonl"]).split(separator: "\n")
            for line in metrics {
                let line = try JSON.parse(String(line), file: "metrics.jsonl")
                let waited = try #require(line["data_seconds"]?.doubleValue)
                #expect(waited >= 0 && waited <= line["seconds"]?.doubleValue ?? 0)
            }
        }

        @Test(arguments: [("true", ""), ("false", "cache")])
        func `what a filter draws depends on the sample and the epoch alone`(inMemory: String, folder: String) throws {
            func run(_ workers: String, _ stops: [String]) throws -> Run {
                let run = try Run(.controlnet)
                for updates in stops {
                    try run(
                        [
                            "controlnet_filter": "NoiseFilter", "controlnet_filter_params": "", "updates": updates,
                            "data_workers": workers, "cache_in_memory": inMemory,
                            "cache_dir": folder.isEmpty ? "" : run.scratch[folder],
                        ], filters: [NoiseFilter.self])
                }
                return run
            }
            let whole = try run("1", ["5"])
            for other in try [run("3", ["5"]), run("2", ["3", "5"])] {
                #expect(try other.bytes(other.weights) == whole.bytes(whole.weights))
                #expect(try other.metrics() == whole.metrics())
            }
        }

        @Test func `lines of updates past the checkpoint are cut off and written again`() throws {
            let run = try Run(.lora)
            try run(["updates": "2"])
            let path = run.scratch["output/run/metrics.jsonl"]
            let ahead = #"{"step":3,"loss":9,"raw_loss":9,"grad_norm":1,"lr":1,"seconds":1,"samples_per_second":1}"#
            try Data((run.text(path) + ahead + "\n{\"step\":4,\"lo").utf8).write(to: URL(fileURLWithPath: path))
            try run(["updates": "4"])
            let metrics = try run.metrics()
            #expect(metrics.compactMap { $0["step"]?.intValue } == [1, 2, 3, 4])
            #expect(metrics[2]["raw_loss"]?.doubleValue != 9)
        }

        @Test func `a hundred updates leave no tensor behind`() async {
            await #expect(processExitsWith: .success) {
                let run = try Run(.controlnet)
                let changes = ["controlnet_filter": "CountingFilter", "controlnet_filter_params": ""]
                try run(
                    TinyWorld.shared().heldOut.merging(changes) { $1 }
                        .merging(["updates": "112", "save_every": "16"]) { $1 },
                    filters: [CountingFilter.self])
                // By the second preview every latent and condition is kept and every state of the optimizer made.
                let counts = CountingFilter.counts.withLock { $0 }
                #expect(counts.count == 7)
                let warm = counts[1...]
                #expect(warm.min() == warm.max(), "\(warm)")
            }
        }

        @Test func `a run that waits for data in vain ends at a signal, and goes on as if it had not waited`() async {
            await #expect(processExitsWith: .success) {
                let data = [UInt8](try Data(contentsOf: URL(fileURLWithPath: TinyWorld.shared().data)))
                let hasStalled = Atomic<Bool>(false)
                let isWell = Atomic<Bool>(false)
                let counter = Counter()
                let server = try LoopbackServer { request in
                    var reply = request.reply(data)
                    // The first answer is to the question whether the shard is there, the second an epoch.
                    if counter.next() > 1, !isWell.load(ordering: .relaxed) {
                        reply.stallAfter = reply.body.count / 2
                        hasStalled.store(true, ordering: .relaxed)
                    }
                    return reply
                }
                var options = RunOptions()
                options.shardAccess.client.isCancelled = { Interruption.isRequested }
                options.interruption = .signals
                let changes = [
                    "webdataset_path": "\(server.address)/data.tar", "batch_size": "4", "grad_accum_steps": "2",
                    "cache_in_memory": "false", "shuffle_buffer": "4", "updates": "12", "preview_steps": "0",
                ]
                let run = try Run(.lora)
                Thread {
                    while !hasStalled.load(ordering: .relaxed) { usleep(2000) }
                    // What was read before the stall becomes updates first.
                    usleep(1_500_000)
                    kill(getpid(), SIGTERM)
                }.start()
                let outcome = try #require(try run(changes, options: options))
                #expect(!outcome.isComplete && outcome.updates >= 1 && outcome.updates < 12)

                isWell.store(true, ordering: .relaxed)
                // As another process would begin.
                Interruption.install()
                #expect(try run(changes, options: options)?.isComplete == true)
                let whole = try Run(.lora)
                #expect(try whole(changes, options: options)?.isComplete == true)
                #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
                #expect(try run.metrics() == whole.metrics())
            }
        }

        @Test func `a signal ends a run early and saves it`() async {
            await #expect(processExitsWith: .success) {
                let run = try Run(.lora)
                let sender = Thread {
                    // The metrics say that the loop runs and has its handler.
                    while (try? run.metrics().isEmpty) ?? true { usleep(2000) }
                    kill(getpid(), SIGUSR1)
                }
                sender.start()
                var options = RunOptions()
                options.interruption = .signals
                let outcome = try #require(try run(["updates": "500"], options: options))
                #expect(!outcome.isComplete && outcome.updates >= 1 && outcome.updates < 500)
                #expect(Interruption.signal == SIGUSR1)
                let file = try SafetensorsFile(run.weights)
                #expect(file.metadata["trained_steps"] == String(outcome.updates))
                let more = String(outcome.updates + 1)
                // As another process would begin.
                Interruption.install()
                #expect(try run(["updates": more])?.isComplete == true)
                #expect(run.lines.contains("resumed at update \(outcome.updates)"))
            }
        }
    }
}

/// A filter that counts the tensors alive whenever the images of a preview come by.
struct CountingFilter: ControlFilter {
    static let name = "CountingFilter"
    static let parameters: [FilterParameter] = []
    static let counts = Mutex<[Int]>([])

    init(parameters: inout Fields) throws {}

    var channels: Int { 3 }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        if images.size(0) == 4 {
            let alive = try Engine.shared().liveTensors
            Self.counts.withLock { $0.append(alive) }
        }
        return ControlCondition(condition: images, preview: images)
    }
}

/// A filter whose condition is chance alone.
struct NoiseFilter: ControlFilter {
    static let name = "NoiseFilter"
    static let parameters: [FilterParameter] = []

    init(parameters: inout Fields) throws {}

    var channels: Int { 2 }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let condition = try generator.uniform([images.size(0), 2, 16, 16])
        return ControlCondition(condition: condition, preview: images)
    }
}
