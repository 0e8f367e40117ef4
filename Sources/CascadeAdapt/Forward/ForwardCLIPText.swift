import AdapterKit
import Cascade
import Failures
import LearnedTokens
import LoRA
import Settings
import Torch

/// `forward clip-text`: token ids to the two text conditions of Stage C.
struct ForwardCLIPText: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration =
            try request.arch.map {
                try CLIPTextConfiguration($0.json, file: $0.place.file)
            } ?? CLIPTextConfiguration()
        let inputs = try request.inputs.read([
            .init(name: "tokens", shape: ["B", "T"], isWhole: true),
            .init(name: "attention_mask", shape: ["B", "T"]),
        ])
        let (tower, _) = try request.network(ignoring: CLIPTextTower.ignores) {
            try CLIPTextTower(configuration, $0)
        }
        var hasTokens = false
        for reference in request.adapters {
            let file = try request.plugIns.open(reference.path)
            if file.kinds.contains(LearnedTokens.kind) {
                guard !hasTokens else {
                    throw Failure.input(
                        "two files with learned tokens for one text model", at: Failure.Place(file.path),
                        expected: "at most one")
                }
                hasTokens = true
                try LearnedTokens(file, tower: tower).attach()
            }
            try attachLoRA(of: file, reference, to: tower, request)
        }
        let output = try tower(inputs.required("tokens"), attentionMask: inputs.required("attention_mask"))
        return [("hidden", output.hidden), ("pooled", output.pooled)]
    }
    /// Attaches what a file has of LoRA on the text tower.
    private func attachLoRA(
        of file: AdapterFile, _ reference: AdapterReference, to tower: CLIPTextTower, _ request: ForwardRequest
    ) throws {
        guard file.kinds.contains(LoRA.kind) else {
            guard file.kinds.contains(LearnedTokens.kind) else {
                throw Failure.input(
                    "there is nothing for a text model in the adapter", at: Failure.Place(file.path),
                    expected: "learned tokens or LoRA", got: file.kinds.joined(separator: ", "))
            }
            return
        }
        if try !file.kinds.contains(LearnedTokens.kind) || LoRA.hasText(file) {
            let lora = try LoRA(file, stageC: nil, text: tower)
            request.passOver(
                lora.passedOver.isEmpty ? [] : ["\(lora.passedOver.count) modules of Stage C"], of: file,
                in: "clip-text")
            lora.strength = reference.strength
            try lora.attach()
        } else {
            request.passOver(["LoRA on Stage C"], of: file, in: "clip-text")
        }
    }
}
