import Cascade
import Torch

/// `forward stage-a-encode` and `forward stage-a-decode`: images to Stage A's latents, and back.
struct ForwardStageA: ForwardModule {
    enum Way { case encode, decode }

    let way: Way

    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration = try request.arch?.read(as: StageAConfiguration.self) ?? StageAConfiguration()
        let wanted: ForwardInputs.Wanted =
            switch way {
            case .encode: .init(name: "images", shape: ["B", 3, "H", "W"])
            case .decode: .init(name: "latents", shape: ["B", .exactly(configuration.latentChannels), "H", "W"])
            }
        let input = try request.inputs.read([wanted]).required(wanted.name)
        let (stageA, _) = try request.network(ignoring: BatchStatistics.isCounter) { try StageA(configuration, $0) }
        return switch way {
        case .encode: [("latents", try stageA.encode(input))]
        case .decode: [("images", try stageA.decode(input))]
        }
    }
}
