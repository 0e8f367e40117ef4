import AdapterKit
import LearnedTokens
import LoRA
import Testing
import Torch
import Weights

extension TrainingRuns {
    /// A run that starts from a LoRA of another program.
    @Suite struct ForeignStarts {
        @Test(arguments: [AdapterFormat.kohya, .comfyui])
        func `a run starts from a foreign LoRA as from the native one`(format: AdapterFormat) throws {
            let first = try Run(.lora)
            try first(["updates": "2", "train_tokens": ""])
            let plugIns = PlugIns(filters: [], adapters: [LoRA.kind, LearnedTokens.kind])
            let foreign = first.scratch["foreign.safetensors"]
            _ = try plugIns.export(plugIns.open(first.weights), as: format).write(to: foreign)

            func continued(from start: String) throws -> SafetensorsFile {
                let run = try Run(.lora)
                try run(["updates": "1", "train_tokens": "", "lora_checkpoint_path": start])
                return try SafetensorsFile(run.weights)
            }
            let (fromNative, fromForeign) = try (continued(from: first.weights), continued(from: foreign))
            let before = try SafetensorsFile(first.weights)
            #expect(Set(fromForeign.entries.map(\.name)) == Set(fromNative.entries.map(\.name)))
            var moved = 0
            for entry in fromNative.entries {
                let values = try fromNative.required(entry.name).values(as: Float.self)
                #expect(try fromForeign.required(entry.name).values(as: Float.self) == values, "\(entry.name)")
                if try before.required(entry.name).values(as: Float.self) != values { moved += 1 }
            }
            #expect(moved > 0)
        }
    }
}
