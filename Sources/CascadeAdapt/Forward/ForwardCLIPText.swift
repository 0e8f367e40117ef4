import AdapterKit
import Cascade
import Failures
import LearnedTokens
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
        for (index, reference) in request.adapters.enumerated() {
            guard index == 0 else {
                throw Failure.input("two adapters for one text model", expected: "at most one file with learned tokens")
            }
            let file = try AdapterFile(reference.path)
            guard file.kinds.contains(LearnedTokens.kind) else {
                throw Failure.input(
                    "there are no learned tokens in the adapter", at: Failure.Place(file.path),
                    got: file.kinds.joined(separator: ", "))
            }
            let tokens = try LearnedTokens(file, tower: tower)
            try tokens.attach()
        }
        let output = try tower(inputs.required("tokens"), attentionMask: inputs.required("attention_mask"))
        return [("hidden", output.hidden), ("pooled", output.pooled)]
    }
}
