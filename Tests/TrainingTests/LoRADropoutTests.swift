import Foundation
import TestSupport
import Testing
import Training

extension TrainingRuns {
    /// Dropout of what LoRA layers hear, in whole runs.
    @Suite struct LoRADropout {
        private static let dropping = ["lora_dropout": "0.5", "lora_init": "kaiming"]

        private func kept(_ run: Run) throws -> [Data] {
            try [run.weights, run.optimizer, run.info].map { try run.bytes($0) }
        }

        @Test func `a rate of 0 draws nothing`() throws {
            let (plain, zero) = (try Run(.lora), try Run(.lora))
            try plain()
            try zero(["lora_dropout": "0"])
            for path in [\Run.weights, \.optimizer] {
                #expect(try zero.bytes(zero[keyPath: path]) == plain.bytes(plain[keyPath: path]))
            }
            #expect(try zero.metrics() == plain.metrics())
        }

        @Test func `a resumed run drops what the uninterrupted one did, checkpointed or not`() throws {
            let (whole, parts, saving) = (try Run(.lora), try Run(.lora), try Run(.lora))
            try whole(Self.dropping)
            var stopped = RunOptions()
            stopped.steps = 1
            try parts(Self.dropping, options: stopped)
            try parts(Self.dropping)
            #expect(parts.lines.contains("resumed at update 1"))
            #expect(try kept(parts) == kept(whole) && parts.metrics() == whole.metrics())
            try saving(Self.dropping.merging(["gradient_checkpointing": "true"]) { $1 })
            let losses = try [whole, saving].map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            for (once, again) in zip(losses[0], losses[1]) { #expect(abs(once - again) < 1e-5 * once) }
        }

        @Test func `validation samples are measured without, and a run that starts from a file drops too`() throws {
            let (first, plain, dropping) = (try Run(.lora), try Run(.lora), try Run(.lora))
            let heldOut = try TinyWorld.shared().heldOut
            let trained = try #require(try first(heldOut.merging(Self.dropping) { $1 })?.validation)
            let start = heldOut.merging(["lora_checkpoint_path": first.weights, "updates": "1"]) { $1 }
            let same = try #require(try plain(start)?.validation)
            let dropped = try #require(try dropping(start.merging(Self.dropping) { $1 })?.validation)
            #expect(same.before == trained.after && dropped.before == trained.after)
            let losses = try [plain, dropping].map { try $0.metrics().compactMap { $0["raw_loss"]?.doubleValue } }
            #expect(losses[0] != losses[1])
        }
    }
}
