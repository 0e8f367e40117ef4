import AdapterKit
import Cascade
import Failures
import Layers
import LoRA
import Settings
import Torch

/// `forward stage-c`: one prediction of Stage C, with injections and adapters.
struct ForwardStageC: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration = try request.arch?.read(as: StageCConfiguration.self) ?? .large
        try checkBlocks(request.inputs.indices(of: "cnet"), configuration)
        let inputs = try request.inputs.read(wanted(configuration, request))
        let store = ParameterStore(
            from: StoredParameters(try request.requiredWeights()), dtype: request.dtype, device: request.device)
        let stageC = try StageC(configuration, store)
        let adapters = try attach(request, to: stageC)

        func input(_ name: String) throws -> Tensor { try inputs.required(name).to(dtype: request.dtype) }
        var conditions = StageC.Conditions(
            clipText: try input("clip_text"), clipTextPooled: try input("clip_text_pooled"),
            clipImage: try input("clip_img"))
        for name in configuration.timeConditions { conditions.times[name] = inputs[name] }
        for index in request.inputs.indices(of: "cnet") {
            conditions.injections[index] = try input("cnet.\(index)")
        }
        if request.wantsGradients && adapters.isEmpty { try store.setTrainable(true) }
        let output = try stageC(input("x"), time: inputs.required("r"), conditions)
        guard request.wantsGradients else { return [("out", output)] }

        let loss = try output.to(dtype: .float32).meanSquaredError(to: inputs.required("target"))
        let parameters = adapters.isEmpty ? store.parameters : adapters.flatMap(\.parameters)
        return try LossAndGradients(loss: loss, parameters: parameters).results()
    }

    private func wanted(_ configuration: StageCConfiguration, _ request: ForwardRequest) -> [ForwardInputs.Wanted] {
        let c = configuration
        var wanted: [ForwardInputs.Wanted] = [
            .init(name: "x", shape: ["B", .exactly(c.inputs), "H", "W"]), .init(name: "r", shape: ["B"]),
            .init(name: "clip_text", shape: ["B", "T", .exactly(c.clipTextWidth)]),
            .init(name: "clip_text_pooled", shape: ["B", 1, .exactly(c.clipTextPooledWidth)]),
            .init(name: "clip_img", shape: ["B", 1, .exactly(c.clipImageWidth)]),
        ]
        wanted += c.timeConditions.map { .init(name: $0, shape: ["B"], isOptional: true) }
        if request.wantsGradients {
            wanted.append(.init(name: "target", shape: ["B", .exactly(c.outputs), "H", "W"]))
        }
        // Channels differ between levels, and each condition has a size of its own.
        wanted += request.inputs.indices(of: "cnet").map { index in
            .init(name: "cnet.\(index)", shape: ["B", .any, .any, .any])
        }
        return wanted
    }

    private func checkBlocks(_ indices: [Int], _ configuration: StageCConfiguration) throws {
        let count = configuration.injectionPoints
        if let past = indices.first(where: { !(0..<count).contains($0) }) {
            throw Failure.input(
                "`cnet.\(past)` is for a residual block that is not there", expected: "cnet.0 to cnet.\(count - 1)",
                got: "cnet.\(past)")
        }
    }

    /// Attaches the LoRA of each adapter file.
    private func attach(_ request: ForwardRequest, to stageC: StageC) throws -> [LoRA] {
        try request.adapters.map { reference in
            let file = try request.plugIns.open(reference.path, AdapterReading(architecture: stageC.configuration))
            guard file.kinds.contains(LoRA.kind) else {
                throw Failure.input(
                    "there is no LoRA in the adapter", at: Failure.Place(file.path),
                    got: file.kinds.joined(separator: ", "))
            }
            let lora = try LoRA(file, stageC: stageC, text: nil)
            request.passOver(
                file.kinds.filter { $0 != LoRA.kind }
                    + (lora.passedOver.isEmpty ? [] : ["\(lora.passedOver.count) modules of the text tower"]),
                of: file, in: "stage-c")
            lora.strength = reference.strength
            try lora.attach()
            return lora
        }
    }
}
