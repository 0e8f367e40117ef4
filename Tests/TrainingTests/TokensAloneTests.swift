import JSON
import Testing
import Torch
import Weights

extension TrainingRuns {
    /// Learned tokens without anything else that is trained.
    @Suite struct TokensAlone {
        private static let keys = ["module_filters": "", "rank": "", "save_every": "1", "updates": "3"]

        @Test(arguments: ["adamw", "adamw_8bit", "adafactor", "prodigy"])
        func `captions without the token change nothing, and a run goes on past them`(optimizer: String) throws {
            let (whole, parts) = (try Run(.lora), try Run(.lora))
            var keys = Self.keys.merging(["optimizer": optimizer]) { $1 }
            try whole(keys)
            keys["updates"] = "1"
            try parts(keys)
            keys["updates"] = "3"
            try parts(keys)
            #expect(try parts.metrics() == whole.metrics() && parts.metrics().count == 3)
            #expect(try parts.bytes(parts.weights) == whole.bytes(whole.weights))
            let deltas = try SafetensorsFile(whole.weights).required("tokens.delta").values(as: Float.self)
            #expect(!deltas.isEmpty && deltas.allSatisfy { $0 == 0 })
            #expect(try whole.metrics().allSatisfy { $0["grad_norm"]?.doubleValue == 0 })
        }

        @Test func `null is a key that is left out`() throws {
            let (left, null) = (try Run(.lora), try Run(.lora))
            try left(Self.keys.merging(["updates": "1"]) { $1 })
            try null(["module_filters": "null", "rank": "null", "save_every": "1", "updates": "1"])
            #expect(try null.bytes(null.weights) == left.bytes(left.weights))
        }

        @Test func `parts whose captions were dropped do not end a run`() throws {
            // The word that every caption holds is trained, and half of the captions are dropped.
            func deltas(_ parts: String) throws -> [Float] {
                let run = try Run(.lora)
                let own = [
                    "train_tokens": "[['^dog</w>$', null]]", "caption_dropout": "0.5", "grad_accum_steps": parts,
                    "updates": "2", "optimizer": "{name: adamw, eps: 1.0}",
                ]
                try run(Self.keys.merging(own) { $1 })
                return try SafetensorsFile(run.weights).required("tokens.delta").values(as: Float.self)
            }
            #expect(try deltas("4").contains { $0 != 0 })
        }
    }
}
