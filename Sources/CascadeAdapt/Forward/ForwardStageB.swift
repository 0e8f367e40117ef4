import Cascade
import Torch

/// `forward stage-b`: one prediction of Stage B.
struct ForwardStageB: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let c = try request.arch?.read(as: StageBConfiguration.self) ?? .large
        let inputs = try request.inputs.read(
            [
                .init(name: "x", shape: ["B", .exactly(c.inputs), "H", "W"]), .init(name: "r", shape: ["B"]),
                .init(name: "effnet", shape: ["B", .exactly(c.effnetChannels), .any, .any]),
                .init(name: "clip", shape: ["B", 1, .exactly(c.clipWidth)]),
                .init(name: "pixels", shape: ["B", .exactly(c.pixelChannels), .any, .any], isOptional: true),
            ] + c.timeConditions.map { .init(name: $0, shape: ["B"], isOptional: true) })
        let (stageB, _) = try request.network(.stageB) { try StageB(c, $0) }
        func input(_ name: String) throws -> Tensor { try inputs.required(name).to(dtype: request.computeDType) }
        var conditions = StageB.Conditions(effnet: try input("effnet"), clip: try input("clip"))
        conditions.pixels = try inputs["pixels"]?.to(dtype: request.computeDType)
        for name in c.timeConditions { conditions.times[name] = inputs[name] }
        return [("out", try stageB(input("x"), time: inputs.required("r"), conditions))]
    }
}
