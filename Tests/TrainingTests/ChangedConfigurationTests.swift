import JSON
import TestSupport
import Testing
import Training

extension TrainingRuns {
    /// A run that goes on with another configuration than it began with.
    @Suite struct ChangedConfigurations {
        private static let changed = "changed since then: "
        private static let compared = "measured on other data"

        private func says(_ run: Run, _ words: String) -> Bool { run.lines.contains { $0.contains(words) } }

        /// Trains two updates, and then a third with changes.
        private func run(_ changes: [String: String]) throws -> Run {
            let run = try Run(.lora)
            let keys = try TinyWorld.shared().heldOut.merging(["preview_steps": "0", "updates": "2"]) { $1 }
            try run(keys)
            try run(keys.merging(["updates": "3"]) { $1 }.merging(changes) { $1 })
            return run
        }

        @Test func `nothing is said where only the end is another`() throws {
            let same = try run(["lr": "1.0e-2", "keep_last": "1", "optimizer": "{name: adamw, eps: 1e-8}"])
            #expect(says(same, "resumed at update 2") && !says(same, Self.changed) && !says(same, Self.compared))
        }

        @Test func `what is another is told with what it was`() throws {
            let other = try run(["lr": "0.5", "keep_last": "3", "preview_steps": ""])
            #expect(says(other, "lr 0.01 -> 0.5") && says(other, "keep_last 1 -> 3"), "\(other.lines)")
            #expect(says(other, "preview_steps 0 -> 20") && !says(other, Self.compared), "\(other.lines)")
            #expect(try JSON.read(other.info)["held_out_since"] == nil)
        }

        @Test func `a validation loss over other triples is not compared with the old one`() throws {
            let other = try run(["validation_triples": "3"])
            #expect(says(other, Self.compared))
            let info = try JSON.read(other.info)
            #expect(info["held_out_since"]?.intValue == 2)
            #expect(info["held_out_before"]?.arrayValue?.count == 3)
        }

        @Test func `a run that is done says so`() throws {
            let run = try Run(.lora)
            for updates in ["2", "1"] { try run(["preview_steps": "0", "updates": updates]) }
            #expect(says(run, "nothing is left to train of 1 updates"))
            #expect(try run.metrics().count == 2)
        }
    }
}
