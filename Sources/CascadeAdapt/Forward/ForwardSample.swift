import Cascade
import Diffusion
import Settings
import Torch

/// `forward sample`: latents of noise, step by step, with Stage C.
struct ForwardSample: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        var fields = try (request.arch ?? Setting(.null, file: "")).fields()
        let configuration: StageCConfiguration = try fields.value("stage_c", default: .large)
        let sampler = try Sampler(&fields)
        try fields.finish()
        guard configuration.inputs == configuration.outputs else {
            throw (fields.setting["stage_c"] ?? fields.setting).refusal(
                expected: "c_out equal to c_in, as every step takes what the last one made")
        }

        let guided = StageCInputs(configuration, request.inputs)
        let free = StageCInputs(configuration, request.inputs, prefix: "uncond.")
        let isAlone = sampler.guidance == nil || free.areMissing
        let start = ForwardInputs.Wanted(name: "x_init", shape: ["B", .exactly(configuration.inputs), "H", "W"])
        // Without guidance the unconditional ones may be given, and change nothing.
        let inputs = try request.inputs.read(
            [start] + guided.wanted() + free.wanted(isOptional: isAlone, length: "S"))
        let conditions = try guided.read(inputs, dtype: request.computeDType)
        let unconditional =
            try isAlone ? Self.zeros(like: conditions) : free.read(inputs, dtype: request.computeDType)

        let (stageC, _) = try ForwardStageC.network(configuration, request)
        let initial = try inputs.required("x_init")
        // libtorch's own noise, so that a program that has it can do the same.
        let generator = try Generator(seed: request.seed)
        let latents = try sampler(from: initial) { _ in
            try generator.normal(initial.shape, device: initial.device)
        } predict: { latents, time, isGuided in
            func predicted(_ conditions: StageC.Conditions) throws -> Tensor {
                try stageC(latents.to(dtype: request.computeDType), time: time, conditions)
            }
            return try .init(predicted(conditions), free: isGuided ? predicted(unconditional) : nil)
        }
        return [("out", latents)]
    }

    /// What stands in for unconditional inputs where there are none, as in the reference.
    private static func zeros(like conditions: StageC.Conditions) throws -> StageC.Conditions {
        StageC.Conditions(
            clipText: try conditions.clipText * 0, clipTextPooled: try conditions.clipTextPooled * 0,
            clipImage: try conditions.clipImage * 0)
    }
}
