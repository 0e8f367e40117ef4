import AdapterKit
import Cascade
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
        let (tower, _) = try request.network(.clipText, ignoring: CLIPTextTower.ignores) {
            try CLIPTextTower(configuration, $0)
        }
        _ = try request.attachAdapters(to: AdaptedNetworks(tower), of: "clip-text")
        let output = try tower(inputs.required("tokens"), attentionMask: inputs.required("attention_mask"))
        return [("hidden", output.hidden), ("pooled", output.pooled)]
    }
}
