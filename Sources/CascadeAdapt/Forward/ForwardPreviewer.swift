import Cascade
import Layers
import Torch

/// `forward previewer`: latents to a small image.
struct ForwardPreviewer: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration = try request.arch?.read(as: Previewer.Configuration.self) ?? .init()
        let inputs = try request.inputs.read([
            .init(name: "latents", shape: ["B", .exactly(configuration.inputs), "H", "W"])
        ])
        let (previewer, _) = try request.network(ignoring: BatchStatistics.isCounter) {
            try Previewer(configuration, $0)
        }
        return [("images", try previewer(inputs.required("latents")))]
    }
}
