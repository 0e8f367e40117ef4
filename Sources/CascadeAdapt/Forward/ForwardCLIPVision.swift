import Cascade
import Torch

/// `forward clip-vision`: preprocessed images to the image condition of Stage C.
struct ForwardCLIPVision: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let c =
            try request.arch.map {
                try CLIPVisionConfiguration($0.json, file: $0.place.file)
            } ?? CLIPVisionConfiguration()
        let side = ForwardInputs.Size.exactly(c.imageSize)
        let inputs = try request.inputs.read([
            .init(name: "images", shape: ["B", .exactly(c.channels), side, side])
        ])
        let (tower, _) = try request.network(ignoring: CLIPVisionTower.ignores) { try CLIPVisionTower(c, $0) }
        return [("embeds", try tower(inputs.required("images")))]
    }
}
