import Cascade
import Layers
import Torch

/// `forward previewer`: latents to a small picture.
struct ForwardPreviewer: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        var configuration = Previewer.Configuration()
        if var fields = try request.arch?.fields() {
            configuration.inputs = try fields.value("c_in", default: configuration.inputs)
            configuration.hidden = try fields.value("c_hidden", default: configuration.hidden)
            configuration.outputs = try fields.value("c_out", default: configuration.outputs)
            try fields.finish()
        }
        let inputs = try request.inputs.read([
            .init(name: "latents", shape: ["B", .exactly(configuration.inputs), "H", "W"])
        ])
        let (previewer, _) = try request.network(ignoring: BatchStatistics.isCounter) {
            try Previewer(configuration, $0)
        }
        return [("images", try previewer(inputs.required("latents")))]
    }
}
