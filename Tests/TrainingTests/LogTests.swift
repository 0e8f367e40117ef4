import Failures
import Foundation
import JSON
import Telemetry
import TestSupport
import Testing
import Torch
import Training

extension TrainingRuns {
    /// What a run says of itself, beside what its loop logs.
    @Suite struct Logs {
        private func names(_ folder: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        }

        @Test func `a run for W&B keeps one offline run and says how to upload it`() throws {
            let run = try Run(.lora)
            let changes = ["wandb_project": "'my project'", "wandb_entity": "us"]
            try run(changes.merging(["updates": "2"]) { $1 })
            let wandb = run.scratch["output/run/wandb"]
            let first = try names(wandb)
            #expect(first.count == 1 && first[0].hasPrefix("offline-run-"))
            #expect(run.lines.last == "to see the run on W&B: wandb sync \(wandb)/\(first[0])")
            try run(changes.merging(["updates": "3"]) { $1 })
            #expect(try names(wandb) == first)
        }

        @Test func `the report shows the configuration with its overrides and no secret`() throws {
            let world = try TinyWorld.shared()
            let run = try Run(.lora)
            let pipe = "pipe:cat \(world.data) # password=sesame"
            try run(world.heldOut.merging(["webdataset_path": "'\(pipe)'", "save_every": "2"]) { $1 })
            let page = try run.text(run.scratch["output/run/report.html"])
            #expect(page.contains("experiment_id: run\n") && page.contains("module_filters: [&quot;.attn&quot;]"))
            #expect(page.contains("webdataset_path: &quot;pipe:cat \(world.data) …&quot;") && !page.contains("sesame"))
            #expect(page.contains("data-step=\"2\"") && page.contains("data-step=\"3\""))
            #expect(page.contains("Done: update 3 of 3."))
            #expect(page.contains("<th scope=\"row\">images by size since the last start</th><td>64 x 64: 12</td>"))
            #expect(page.contains("<th scope=\"row\">checkpoint</th><td>\(run.weights)</td>"))
        }

        @Test func `a log that cannot be written ends the run and leaves its checkpoint`() throws {
            let run = try Run(.lora)
            try run(["updates": "2"])
            let before = try run.bytes(run.weights)
            let metrics = run.scratch["output/run/metrics.jsonl"]
            try FileManager.default.removeItem(atPath: metrics)
            try FileManager.default.createSymbolicLink(atPath: metrics, withDestinationPath: "/dev/full")
            let failure = try run.failure(["updates": "4"])
            #expect(failure.blame == .run && failure.place?.file == metrics)
            #expect(failure.got == "No space left on device")
            #expect(try run.bytes(run.weights) == before)
        }
    }
}
