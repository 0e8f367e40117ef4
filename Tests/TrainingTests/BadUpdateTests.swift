import AdapterKit
import Failures
import Foundation
import JSON
import Settings
import TestSupport
import Testing
import Torch
import Training
import Weights

extension TrainingRuns {
    /// Updates whose loss or gradients are no numbers.
    @Suite struct BadUpdates {
        /// Each epoch of three updates has one with a spoilt sample in it.
        private static let spoilt = [
            "controlnet_filter": "SpoilingFilter", "controlnet_filter_params": "", "adaptive_loss_weight": "true",
            "preview_steps": "0", "backup_every": "1",
        ]

        private func train(_ run: Run, _ changes: [String: String]) throws -> RunOutcome? {
            try run(Self.spoilt.merging(changes) { $1 }, filters: [SpoilingFilter.self])
        }

        @Test func `an update without a finite loss changes nothing and is told with its samples`() throws {
            let (whole, parts) = (try Run(.controlnet), try Run(.controlnet))
            #expect(try train(whole, ["updates": "9"])?.isComplete == true)
            let metrics = try whole.metrics()
            let bad = metrics.filter { $0["bad_steps"] != nil }
            #expect(bad.compactMap { $0["bad_steps"]?.intValue } == [1, 2, 3])
            #expect(bad.allSatisfy { $0["raw_loss"]?.isNull == true && $0["samples"]?.arrayValue?.count == 4 })
            // The smoothed loss goes on as if they had not been.
            #expect(metrics.last?["loss"]?.doubleValue?.isFinite == true)
            for line in bad {
                let step = try #require(line["step"]?.intValue)
                let samples = (line["samples"]?.arrayValue ?? []).compactMap(\.stringValue)
                #expect(samples.contains { $0.hasSuffix("/100") }, "\(samples)")
                #expect(whole.lines.contains { $0.hasPrefix("warning: update \(step) ") && $0.contains(samples[0]) })
                guard step > 1 else { continue }
                let files = try [step - 1, step].map {
                    try SafetensorsFile("\(whole.checkpoints)/controlnet_\($0).safetensors")
                }
                for name in files[0].entries.map(\.name) {
                    let values = try files.map { try $0.required(name).to(dtype: .float32).values(as: Float.self) }
                    #expect(values[0] == values[1], "\(name) of update \(step)")
                }
            }
            // Stopped at every update, before, at and after the bad ones.
            for updates in 1...9 { _ = try train(parts, ["updates": String(updates)]) }
            #expect(try parts.bytes(parts.weights) == whole.bytes(whole.weights))
            #expect(try parts.bytes(parts.optimizer) == whole.bytes(whole.optimizer))
            #expect(try parts.text(parts.info) == whole.text(whole.info))
            #expect(try parts.metrics() == metrics)
        }

        @Test func `too many in a row end the run and keep the last good weights`() throws {
            let (run, whole) = (try Run(.lora), try Run(.lora))
            try run(["updates": "2"])
            let before = try run.bytes(run.weights)
            // The third update takes the weights so far that no later one has a finite loss.
            let failure = try run.failure(["lr": "1e30", "updates": "20", "save_every": "4", "max_bad_steps": "4"])
            #expect(failure.blame == .run && failure.what == "4 updates in a row had no finite loss", "\(failure)")
            #expect(failure.place?.file == run.checkpoints && failure.got == "update 7 was the last")
            #expect(failure.advice?.contains("the checkpoint is of update 2") == true, "\(failure)")
            #expect(try run.bytes(run.weights) == before)
            try run(["updates": "3"])
            try whole(["updates": "3"])
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            #expect(try run.metrics() == whole.metrics())
        }

        @Test func `weights that are not finite are not saved`() throws {
            let (run, whole) = (try Run(.lora), try Run(.lora))
            try run(["updates": "2"])
            let before = try run.bytes(run.weights)
            let failure = try run.failure(["lr": "1e39", "updates": "9", "save_every": "1", "max_bad_steps": "3"])
            #expect(failure.blame == .run && failure.got == "update 6 was the last", "\(failure)")
            #expect(failure.advice?.contains("the checkpoint is of update 2") == true, "\(failure)")
            #expect(run.lines.contains { $0.hasPrefix("warning: update 3 is not saved: `") }, "\(run.lines)")
            #expect(try run.bytes(run.weights) == before)
            // Nor does a run end well whose last update did that.
            let end = try run.failure(["lr": "1e39", "updates": "3"])
            #expect(end.blame == .run && end.what.contains("not finite"), "\(end)")
            try run(["updates": "3"])
            try whole(["updates": "3"])
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            #expect(try run.metrics() == whole.metrics())
        }
    }
}

/// A filter whose condition is no number for the first of the tiny world's images.
struct SpoilingFilter: ControlFilter {
    static let name = "SpoilingFilter"
    static let parameters: [FilterParameter] = []

    init(parameters: inout Fields) throws {}

    var channels: Int { 3 }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let first = TinyWorld.images(1, seed: 0)[0].image.planar().values
        let isFirst = try images.size(0) == 1 && images.values(as: Float.self) == first
        return ControlCondition(condition: isFirst ? try images * .nan : images, preview: images)
    }
}
