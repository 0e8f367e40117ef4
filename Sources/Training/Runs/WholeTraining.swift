import Failures
import Optimization
import Settings
import Torch

/// How a stage that is trained whole keeps its weights and takes its steps: `weights_dtype` and `fused_backward`.
struct WholeTraining {
    var weightsDType = DType.float32
    var isFused = false

    /// - Parameter trainsWhole: whether a stage is trained whole; what adapters train is float32, and small.
    init(
        _ fields: inout Fields, trainsWhole: Bool, optimizer: OptimizerChoice, accumulation: Int
    ) throws {
        guard trainsWhole else {
            guard let key = ["weights_dtype", "fused_backward"].first(where: fields.contains) else { return }
            throw Failure.input(
                "`\(key)` is for a stage that is trained whole", at: fields.setting[key]?.place,
                expected: "no such key for an adapter", got: fields.setting[key]?.text,
                advice: "what an adapter trains is float32 and takes little; `dtype` says how its base is kept")
        }
        weightsDType = try fields.value("weights_dtype", default: Precision.float32).dtype
        isFused = try fields.value("fused_backward", default: false)
        if !optimizer.stepsTensorByTensor {
            func refuse(_ key: String, _ other: String) -> Failure {
                .input(
                    "`\(key)` does not go with `optimizer: \(optimizer.name)`, whose step hangs on all gradients at once",
                    at: fields.setting[key]?.place, expected: other, got: fields.setting[key]?.text,
                    advice: "adamw, adamw_8bit and adafactor step each tensor by itself")
            }
            if isFused { throw refuse("fused_backward", "false") }
            if weightsDType != .float32 { throw refuse("weights_dtype", "float32") }
        }
        if isFused, accumulation > 1 {
            throw Failure.input(
                "`fused_backward` takes the whole batch as one micro-batch",
                at: fields.setting["grad_accum_steps"]?.place,
                expected:
                    "`grad_accum_steps: 1`, because a gradient is freed before the next micro-batch could add to it",
                got: "\(accumulation)",
                advice: "make batch_size smaller, or leave `fused_backward` out and keep the micro-batches")
        }
    }
}
