import Cascade
import Torch
import Layers

/// `forward effnet`: normalised pictures to the latents of Stage C.
struct ForwardEffNet: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        var configuration = EffNetEncoder.Configuration()
        if var fields = try request.arch?.fields() {
            configuration.latentChannels = try fields.value("c_latent", default: configuration.latentChannels)
            try fields.finish()
        }
        let inputs = try request.inputs.read([.init(name: "images", shape: ["B", 3, "H", "W"])])
        // Float32 in a bfloat16 run too, as in training: rounding the weights alone moves this network too far.
        let (encoder, _) = try request.network(ignoring: BatchStatistics.isCounter, dtype: .float32) {
            try EffNetEncoder(configuration, $0)
        }
        return [("latents", try encoder.encode(inputs.required("images")))]
    }
}
