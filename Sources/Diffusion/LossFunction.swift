import Settings
import Torch

/// How far a prediction is from what it should be, element by element.
public enum LossFunction: Sendable {
    /// The squared difference.
    case squared
    /// Half the squared difference up to `delta`, a straight line beyond (Huber 1964; as `torch.nn.HuberLoss`).
    case huber(delta: Double = 1)

    /// The mean over each sample: [B] for a prediction and a target of [B, C, H, W], float32.
    public func callAsFunction(_ prediction: Tensor, _ target: Tensor) throws -> Tensor {
        let difference = try prediction - target
        switch self {
        case .squared: return try difference.squared().mean([1, 2, 3])
        case .huber(let delta):
            let distance = try difference.abs()
            let near = try distance.clamped(max: delta)
            return try (near * (distance - near * 0.5)).mean([1, 2, 3])
        }
    }
}

extension LossFunction: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "mse or huber" }

    /// Reads `mse`, `huber`, or a mapping with `name` and Huber's `delta`.
    public static func read(_ setting: Setting) throws -> LossFunction {
        try setting.choice(
            among: [
                "mse": { _ in .squared },
                "huber": { .huber(delta: try $0.value("delta", default: 1, .positive)) },
            ])
    }
}
