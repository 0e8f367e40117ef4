import AdapterKit
import Cascade
import Layers
import Torch

/// `forward stage-c`: one prediction of Stage C, with injections and adapters.
struct ForwardStageC: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration = try request.arch?.read(as: StageCConfiguration.self) ?? .large
        let conditions = StageCInputs(configuration, request.inputs)
        let inputs = try request.inputs.read(wanted(configuration, request) + conditions.wanted())
        let (stageC, adapters) = try Self.network(configuration, request)
        let store = stageC.store
        if request.wantsGradients && adapters.isEmpty { try store.setTrainable(true) }
        let output = try stageC(
            inputs.required("x").to(dtype: request.computeDType), time: inputs.required("r"),
            conditions.read(inputs, dtype: request.computeDType))
        guard request.wantsGradients else { return [("out", output)] }

        let loss = try output.to(dtype: .float32).meanSquaredError(to: inputs.required("target"))
        let parameters = adapters.isEmpty ? store.parameters : adapters.flatMap(\.parameters)
        return try LossAndGradients(loss: loss, parameters: parameters).results()
    }

    /// Stage C with the weights of a request, and its adapters attached.
    static func network(
        _ configuration: StageCConfiguration, _ request: ForwardRequest
    ) throws -> (stageC: StageC, adapters: [any Adapter]) {
        let store = ParameterStore(
            from: StoredParameters(try request.requiredWeights()), dtype: request.dtype,
            matrices: try request.matrices(.stageC), device: request.device)
        let stageC = try StageC(configuration, store)
        let adapters = try request.attachAdapters(
            to: AdaptedNetworks(stageC), of: "stage-c", AdapterReading(architecture: configuration))
        return (stageC, adapters)
    }

    private func wanted(_ configuration: StageCConfiguration, _ request: ForwardRequest) -> [ForwardInputs.Wanted] {
        let c = configuration
        var wanted: [ForwardInputs.Wanted] = [
            .init(name: "x", shape: ["B", .exactly(c.inputs), "H", "W"]), .init(name: "r", shape: ["B"]),
        ]
        if request.wantsGradients {
            wanted.append(.init(name: "target", shape: ["B", .exactly(c.outputs), "H", "W"]))
        }
        return wanted
    }
}
