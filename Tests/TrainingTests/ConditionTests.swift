import AdapterKit
import CannyFilter
import Failures
import Generation
import Foundation
import JSON
import Loading
import Settings
import Shards
import Synchronization
import TestSupport
import Testing
import Torch
import Weights

@testable import Training

extension TrainingRuns {
    /// Conditions of a ControlNet's data, which filters make in the loader's threads.
    @Suite(.serialized) struct Conditions {
        /// A run of the witness.
        @discardableResult
        private func run(
            _ run: Run, _ parameters: String, _ changes: [String: String] = [:]
        ) throws -> RunOutcome {
            WitnessFilter.forget()
            let filter = ["controlnet_filter": "WitnessFilter", "controlnet_filter_params": "{\(parameters)}"]
            return try #require(
                try run(filter.merging(["updates": "4"]) { $1 }.merging(changes) { $1 }, filters: [WitnessFilter.self]))
        }

        @Test func `several workers filter at once, and the thread that trains does not`() throws {
            let trainer = pthread_self()
            try run(Run(.controlnet), "meets: true", ["data_workers": "3"])
            let calls = WitnessFilter.calls
            #expect(calls.count >= 12 && calls.allSatisfy { pthread_equal($0.thread, trainer) == 0 })
            #expect(calls.allSatisfy { $0.images == 1 && !$0.recordsGraph })
            #expect(WitnessFilter.mostAtOnce > 1)
        }

        @Test func `a worker's operators take one thread, others as many as before`() async {
            await #expect(processExitsWith: .success) {
                let engine = try Engine.shared()
                try engine.setThreads(3)
                let filter = try WitnessFilter.make(.parse("{}", file: "filter.yaml"))
                var preparation = SamplePreparation(buckets: try .init(size: 64, step: 32))
                preparation.conditions = FilterWork(filter, warn: { _ in }).conditions(cache: nil)
                let loader = try BatchLoader(
                    shards: resolveShards([TinyWorld.shared().data], access: ShardAccess()), preparation: preparation,
                    options: .init(stream: .init(seed: 1, bufferSize: 8), batchSize: 4, workers: 2))
                for _ in 0..<3 { #expect(try loader.next().condition()?.shape == [4, 3, 64, 64]) }
                #expect(!WitnessFilter.calls.isEmpty && WitnessFilter.calls.allSatisfy { $0.threads == 1 })
                #expect(engine.threads == 3)
            }
        }

        @Test func `the condition of a batch is what the filter makes of its images`() throws {
            let filter = try CannyFilter.make(.parse("{resize: 32}", file: "filter.yaml"))
            var preparation = SamplePreparation(buckets: try .init(size: 64, step: 32))
            preparation.conditions = FilterWork(filter, warn: { _ in }).conditions(cache: nil)
            let loader = try BatchLoader(
                shards: resolveShards([TinyWorld.shared().data], access: ShardAccess()), preparation: preparation,
                options: .init(stream: .init(seed: 1, bufferSize: 8), batchSize: 4, workers: 2))
            let batch = try loader.next()
            let planes = batch.images.flatMap { $0.planar().values }
            let expected = try filter(Tensor(planes, shape: [4, 3, 64, 64]), generator: Generator(seed: 1)).condition
            let made = try #require(try batch.condition())
            #expect(made.shape == expected.shape)
            #expect(try made.values(as: Float.self) == expected.values(as: Float.self))
        }

        @Test(arguments: ["false", "true"])
        func `a second run filters nothing, unless the filter draws`(draws: String) throws {
            let scratch = try Scratch()
            let changes = ["cache_in_memory": "false", "cache_dir": scratch["cache"]]
            let first = try Run(.controlnet)
            #expect(try run(first, "draws: \(draws)", changes).conditions == (draws == "true" ? 0 : 12))
            #expect(WitnessFilter.calls.count >= 12)
            let second = try Run(.controlnet)
            #expect(try run(second, "draws: \(draws)", changes).conditions == 0)
            #expect(draws == "true" ? WitnessFilter.calls.count >= 16 : WitnessFilter.calls.isEmpty)
            #expect(try second.bytes(second.weights) == first.bytes(first.weights))
            #expect(try second.metrics() == first.metrics())
            // Another parameter makes another condition.
            #expect(
                try run(Run(.controlnet), "draws: \(draws), level: 0.3", changes).conditions
                    == (draws == "true" ? 0 : 12))
        }

        @Test func `kept conditions are known by the filter, its parameters and the files of both`() throws {
            let scratch = try Scratch()
            func salt(_ filter: any ControlFilter.Type, _ parameters: String) throws -> String {
                let setting = try Setting.parse(parameters, file: "filter.yaml")
                return try EncodingCache(
                    in: scratch["cache"], conditionsOf: filter.make(setting), setting.json, warn: { _ in }
                ).salt
            }
            let canny = try salt(CannyFilter.self, "{resize: 32, low_threshold: 9}")
            #expect(try salt(CannyFilter.self, "{low_threshold: 9, resize: 32}") == canny)
            #expect(try salt(CannyFilter.self, "{low_threshold: 8, resize: 32}") != canny)
            let plain = try salt(CannyFilter.self, "{}")
            #expect(try salt(WitnessFilter.self, "{}") != plain)
            // The same path in both, of a network and of another file.
            for parameters in ["{model: \(scratch["file"])}", "{other: \(scratch["file"])}"] {
                let salts = try ["one", "two", "one"].map { content in
                    try scratch.write(content, to: "file")
                    return try salt(WitnessFilter.self, parameters)
                }
                #expect(salts[0] == salts[2] && salts[0] != salts[1])
            }
        }

        @Test func `images that the filter refuses are left out, counted, and the first is told`() throws {
            let run = try Run(.controlnet)
            let outcome = try self.run(run, "refuses: 0.4")
            #expect(outcome.isComplete && outcome.drops.samples["filter refused the image"] ?? 0 >= 2)
            #expect(run.lines.contains { $0.hasPrefix("left out of the data: ") && $0.contains("filter refused") })
            let told = run.lines.filter { $0.contains("WitnessFilter refuses an image") }
            #expect(told.count == 1 && told.allSatisfy { $0.contains("too dark") }, "\(run.lines)")

            let none = #expect(throws: Failure.self) { try self.run(Run(.controlnet), "refuses: 1") }
            #expect(
                none?.blame == .input && none?.got == "12 filter refused the image", "\(String(describing: none))")
        }

        @Test func `a filter that breaks ends the run with the sample's name`() throws {
            for (parameters, what) in [
                ("breaks: true", "the network broke"), ("shape: 2", "makes no condition of the shape"),
            ] {
                let failure = #expect(throws: Failure.self) { try run(Run(.controlnet), parameters) }
                #expect(
                    failure?.blame == .run && failure?.what.contains(what) == true, "\(String(describing: failure))")
                #expect(failure?.place?.file.contains("data.tar/1") == true, "\(String(describing: failure))")
            }
        }

        @Test func `conditions become bytes and back without loss, masks a quarter of the size`() throws {
            let levels = (0..<256).map { Float($0) / 255 }
            let numbers: [Float] = [0.1, -1, 2, .infinity, 1e-30, 0.5, 1 / 255, 0.99999]
            for (values, bytes) in [(levels, 1), (numbers, 4), ([0, 1, 1, 0], 1), ([1.5], 4), ([-0.25], 4)] {
                let condition = try Tensor(values, shape: [1, 1, 1, values.count])
                let stored = try ConditionBytes.bytes(of: condition)
                #expect(stored.count < bytes * values.count + 200)
                let file = try SafetensorsFile(bytes: stored, path: "condition")
                #expect(file.entries.map(\.byteCount) == [bytes * values.count])
                let read = try #require(try ConditionBytes.condition(stored))
                #expect(read.shape == condition.shape && read.dtype == .float32)
                #expect(try read.values(as: Float.self) == values)
            }
            let nothing = try Tensor([Float.nan], shape: [1, 1, 1, 1])
            let read = try ConditionBytes.condition(ConditionBytes.bytes(of: nothing))
            #expect(try read?.values(as: Float.self).first?.isNaN == true)
            #expect(try ConditionBytes.condition([1, 2, 3]) == nil)
        }
    }
}

/// A filter that tells how it was called, and whose parameters say what goes wrong.
struct WitnessFilter: ControlFilter {
    static let name = "WitnessFilter"
    static let parameters: [FilterParameter] = []

    struct Call: Sendable {
        let thread: pthread_t
        let threads: Int
        let images: Int
        let recordsGraph: Bool
    }

    private struct Memory {
        var calls: [Call] = []
        var inside = 0
        var mostAtOnce = 0
    }

    private static let memory = Mutex(Memory())

    static var calls: [Call] { memory.withLock { $0.calls } }
    static var mostAtOnce: Int { memory.withLock { $0.mostAtOnce } }
    static func forget() { memory.withLock { $0 = Memory() } }

    let draws: Bool
    let meets: Bool
    let breaks: Bool
    let level: Double
    /// Mean brightness below which an image is refused.
    let refuses: Double
    let rank: Int
    let modelFiles: [FilterModelFile]

    init(parameters fields: inout Fields) throws {
        draws = try fields.value("draws", default: false)
        meets = try fields.value("meets", default: false)
        breaks = try fields.value("breaks", default: false)
        level = try fields.value("level", default: 0.5)
        refuses = try fields.value("refuses", default: 0)
        rank = try fields.value("shape", default: 4)
        fields.ignore("other")
        let model: String? = try fields.optional("model")
        modelFiles = model.map { [FilterModelFile(name: "model", path: $0, isThere: true)] } ?? []
    }

    var channels: Int { 3 }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let call = Call(
            thread: pthread_self(), threads: try Engine.shared().threads, images: images.size(0),
            recordsGraph: try gradientsEnabled())
        Self.memory.withLock {
            $0.calls.append(call)
            $0.inside += 1
            $0.mostAtOnce = max($0.mostAtOnce, $0.inside)
        }
        defer { Self.memory.withLock { $0.inside -= 1 } }
        // The first waits for another; where none ever comes, not for ever.
        for _ in 0..<5000 where meets && Self.mostAtOnce < 2 { usleep(2000) }
        if breaks { throw Failure.run("the network broke") }
        if try images.mean([1, 2, 3]).item() < refuses { throw Failure.input("the image is too dark") }
        let noise = draws ? try generator.uniform() : 0
        let condition = try images * level + noise
        return ControlCondition(condition: rank == 4 ? condition : try condition.mean([2, 3]), preview: images)
    }
}
