import Cascade
import Torch
import Layers

/// `forward effnet`: normalised images to the latents of Stage C.
struct ForwardEffNet: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration = try request.arch?.read(as: EffNetEncoder.Configuration.self) ?? .init()
        let inputs = try request.inputs.read([.init(name: "images", shape: ["B", 3, "H", "W"])])
        // Float32 in a bfloat16 run too, as in training: rounding the weights alone moves this network too far.
        let (encoder, _) = try request.network(ignoring: BatchStatistics.isCounter, dtype: .float32) {
            try EffNetEncoder(configuration, $0)
        }
        return [("latents", try encoder.encode(inputs.required("images")))]
    }
}
