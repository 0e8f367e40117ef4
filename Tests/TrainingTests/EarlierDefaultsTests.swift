import AdapterKit
import CannyFilter
import Failures
import Foundation
import JSON
import LearnedTokens
import LoRA
import Settings
import TestSupport
import Testing

@testable import Training

extension TrainingRuns {
    /// Runs that go on after a default has changed.
    @Suite struct EarlierDefaults {
        /// Images of 64 pixels a side are cut to halves, so that it shows where.
        private static let halves = ["multi_aspect_ratio": "[1/2]", "updates": "4", "draws": "keyed"]

        /// Makes the checkpoint one of a version that kept the configuration as it was written, without some keys.
        private func age(_ run: Run, without keys: [String]) throws {
            var info = try #require(JSON.read(run.info).objectValue)
            info["effective"] = nil
            var written = try #require(info["configuration"]?.objectValue)
            for key in keys { written[key] = nil }
            info["configuration"] = .object(written)
            try JSON.object(info).text().write(toFile: run.info, atomically: true, encoding: .utf8)
        }

        @Test(arguments: Recipe.allCases)
        func `a checkpoint says what every key came to, and that alone repeats the run`(recipe: Recipe) throws {
            let run = try Run(recipe)
            try run(["updates": "2"])
            let effective = try #require(JSON.read(run.info)["effective"]?.objectValue)
            let plugIns = PlugIns(filters: [CannyFilter.self], adapters: [LoRA.kind, LearnedTokens.kind])
            let text = try TinyWorld.shared().configuration(in: run.scratch, recipe.keys())
            var fields = try Setting.parse(text, file: "run.yaml").fields()
            _ = try recipe.type.init(&fields, plugIns)
            let places: Set = ["experiment_id", "checkpoint_path", "output_path", "updates"]
            #expect(Set(fields.known).subtracting(places).subtracting(effective.map(\.key)).sorted() == [])

            let again = try Run(recipe)
            let values = effective.map { ($0.key, $0.value.isNull ? "null" : $0.value.text()) }
            try again(Dictionary(uniqueKeysWithValues: values).merging(["updates": "2"]) { $1 })
            func losses(_ run: Run) throws -> [Double?] { try run.metrics().map { $0["raw_loss"]?.doubleValue } }
            #expect(try losses(again) == losses(run))
            #expect(try again.bytes(again.optimizer) == run.bytes(run.optimizer))
            #expect(try JSON.read(again.info)["effective"] == .object(effective))
        }

        @Test func `a run of before goes on with the defaults of its time and says which`() throws {
            let whole = try Run(.lora)
            try whole(Self.halves.merging(["crop": "centre"]) { $1 })
            let parts = try Run(.lora)
            try parts(Self.halves.merging(["crop": "centre", "updates": "2"]) { $1 })
            try age(parts, without: ["crop", "clip_image_model_name"])
            for updates in ["3", "4"] {  // The second time from a checkpoint that says so.
                try parts(Self.halves.merging(["updates": updates, "clip_image_model_name": ""]) { $1 })
                let said = parts.lines.filter { $0.contains("had another default when the run began") }
                #expect(said.last?.hasSuffix("crop: centre, clip_image_model_name: null") == true, "\(parts.lines)")
            }
            #expect(try parts.metrics() == whole.metrics() && parts.bytes(parts.weights) == whole.bytes(whole.weights))
            #expect(!parts.lines.contains { $0.contains("changed since then") }, "\(parts.lines)")
        }

        @Test func `a key that is named beats the default of before`() throws {
            let run = try Run(.lora)
            try run(Self.halves.merging(["crop": "centre", "updates": "2"]) { $1 })
            try age(run, without: ["crop"])
            try run(Self.halves.merging(["crop": "random"]) { $1 })
            #expect(!run.lines.contains { $0.contains("crop: centre") })
            #expect(try JSON.read(run.info)["effective"]?["crop"]?.stringValue == "random")
        }

        @Test func `a run of now keeps what it came to, and a new one has the reference's defaults`() throws {
            let run = try Run(.lora)
            try run(Self.halves.merging(["updates": "2"]) { $1 })
            try run(Self.halves.merging(["updates": "3"]) { $1 })
            #expect(!run.lines.contains { $0.contains("another default") })
            let info = try JSON.read(run.info)["effective"]
            #expect(info?["crop"]?.stringValue == "random" && info?["bucketeer_random_ratio"]?.doubleValue == 0.05)
            let square = try Run(.finetune)
            try square(["updates": "1"])
            let other = try JSON.read(square.info)["effective"]
            #expect(other?["crop"]?.stringValue == "smart" && other?["bucketeer_random_ratio"]?.doubleValue == 0)
            #expect(other?["crop_randomize_p"]?.doubleValue == 0.3 && other?["crop_randomize_q"]?.doubleValue == 0.2)
        }

        @Test func `a run that drew in sequence is refused, and goes on with new draws where that is said`() throws {
            let run = try Run(.lora)
            try run(["updates": "2"])
            try age(run, without: [])
            let kept = try run.bytes(run.info)
            let failure = try run.failure(["updates": "3"])
            #expect(failure.what.contains("`draws: sequence`") && failure.advice?.contains("`draws: keyed`") == true)
            #expect(try run.bytes(run.info) == kept)
            try run(["updates": "3", "draws": "keyed"])
            #expect(try run.metrics().count == 3)
            // From then on the checkpoint says so.
            try run(["updates": "4"])
            #expect(try run.metrics().count == 4)
        }

        @Test func `a default of before that this version cannot do is refused with what to do`() throws {
            let scratch = try Scratch()
            try FileManager.default.createDirectory(atPath: scratch["runs/a"], withIntermediateDirectories: true)
            let text = "checkpoint_path: \(scratch["runs"])\nexperiment_id: a\n"
            let change = ChangedDefault("draws", before: "sequence", obstacle: "name `draws: keyed`")
            func values(_ more: String = "") throws -> EffectiveValues {
                try EffectiveValues(of: Setting.parse(text + more, file: "run.yaml"), changed: [change])
            }
            #expect(try values().remark == nil)  // A new run.
            try scratch.write(#"{"updates": 3, "configuration": {"lr": 1}}"#, to: "runs/a/info.json")
            let failure = try #require(throws: Failure.self) { try values() }
            #expect(failure.blame == .input && failure.what.contains("`draws: sequence`"))
            #expect(failure.advice == "name `draws: keyed`" && failure.place?.file == scratch["runs/a"])
            #expect(throws: Never.self) { try values("draws: keyed\n") }
            try scratch.write(#"{"updates": 3, "effective": {"draws": "keyed"}}"#, to: "runs/a/info.json")
            #expect(throws: Never.self) { try values() }
        }
    }
}
