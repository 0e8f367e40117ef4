import AdapterKit
import CannyFilter
import Failures
import Foundation
import JSON
import LearnedTokens
import LoRA
import Settings
import Synchronization
import Telemetry
import TestSupport
import Testing
import Torch
import Training
import Weights

/// The three recipes, that of fine-tuning for both stages.
enum Recipe: String, CaseIterable {
    case finetune, stageB, lora, controlnet

    /// The keys that the recipe needs beside those of all.
    func keys() throws -> [String: String] {
        switch self {
        case .finetune: [:]
        case .stageB: try TinyStageB.shared().keys
        case .lora: TinyWorld.lora
        case .controlnet: TinyWorld.controlNet
        }
    }

    var type: any Training.Recipe.Type {
        switch self {
        case .finetune, .stageB: FinetuneRecipe.self
        case .lora: AdapterRecipe.self
        case .controlnet: ControlNetRecipe.self
        }
    }

    /// The name of the files.
    var files: String { self == .finetune || self == .stageB ? "generator" : rawValue }
}

/// A run in a folder of its own, as a command starts it.
struct Run {
    let scratch: Scratch
    let recipe: Recipe
    private let said = Transcript()

    init(_ recipe: Recipe, in scratch: Scratch? = nil) throws {
        self.recipe = recipe
        self.scratch = try scratch ?? Scratch()
    }

    var checkpoints: String { scratch["checkpoints/run"] }
    var weights: String { "\(checkpoints)/\(recipe.files).safetensors" }
    var optimizer: String { "\(checkpoints)/\(recipe.files)_optim.safetensors" }
    var info: String { "\(checkpoints)/info.json" }
    /// What was written for a person.
    var lines: [String] { said.lines }

    /// Trains with changes to the tiny configuration.
    @discardableResult
    func callAsFunction(
        _ changes: [String: String] = [:], filters: [any ControlFilter.Type] = [], options: RunOptions = .init()
    ) throws -> RunOutcome? {
        let said = said
        var options = options
        // Two threads would wait for each other longer than these networks take.
        options.threads = 1
        let console = Console(isTerminal: false) { said.add($0) }
        return try configured(changes, filters).train(options, console)
    }

    /// What it would do.
    func plan(_ changes: [String: String] = [:], options: RunOptions = .init()) throws -> TrainingPlan {
        try configured(changes).plan(options)
    }

    /// Its recipe, read.
    func configured(
        _ changes: [String: String], _ filters: [any ControlFilter.Type] = []
    ) throws -> any Training.Recipe {
        let text = try TinyWorld.shared().configuration(in: scratch, recipe.keys().merging(changes) { $1 })
        let setting = try Setting.parse(text, file: "run.yaml")
        let plugIns = PlugIns(filters: [CannyFilter.self], adapters: [LoRA.kind, LearnedTokens.kind])
        return try recipe.type.init(setting, plugIns.adding(filters: filters))
    }

    /// The failure that a run with these changes ends with, without having begun.
    func failure(_ changes: [String: String], options: RunOptions = .init()) throws -> Failure {
        try #require(throws: Failure.self) { try self(changes, options: options) }
    }

    // MARK: What a run leaves

    /// Lines of `metrics.jsonl` without what a clock says.
    func metrics() throws -> [JSON] {
        try text(scratch["output/run/metrics.jsonl"]).split(separator: "\n").map { line in
            var object = try #require(JSON.parse(String(line), file: "metrics.jsonl").objectValue)
            object["seconds"] = nil
            object["samples_per_second"] = nil
            object["data_seconds"] = nil
            return .object(object)
        }
    }

    func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
    func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }
}

/// What a console was told.
private final class Transcript: Sendable {
    private let text = Mutex("")

    func add(_ part: String) { text.withLock { $0 += part } }
    var lines: [String] { text.withLock { $0.split(separator: "\n").map(String.init) } }
}

/// Tests that train. Those that send signals, or count what is alive, have a process of their own.
@Suite struct TrainingRuns {}
