import Torch

/// AdamW whose moments take eight bits an element, a quarter of the memory.
///
/// Each 256 elements share a scale; small tensors keep float32. Sources: Dettmers et al. 2022, "8-bit Optimizers via
/// Block-wise Quantization", and bitsandbytes' AdamW8bit, of which two things differ: an element goes to the nearest
/// code exactly, and no square above zero becomes zero.
public final class AdamW8bit: Optimizer {
    /// Values that hold for a whole run.
    public struct Configuration: Sendable {
        /// Betas and epsilon, as those of AdamW in float32.
        public var moments = AdamW.Configuration()
        /// Tensors with fewer elements keep float32.
        public var leastElements = 4096

        /// bitsandbytes' own values.
        public init() {}
    }

    /// `adamw_8bit` in a configuration.
    public static let name = "adamw_8bit"

    /// Moments of one parameter, whole or quantised.
    private enum Memory {
        case whole(Moments)
        case quantised(mean: Quantised, square: Quantised)
    }

    private struct Quantised {
        let codes: Tensor
        let scales: Tensor

        init(of parameter: Tensor) throws {
            codes = try .zeros(parameter.shape, dtype: .uint8, device: parameter.device)
            scales = try .zeros([DynamicCode.blocks(parameter.count)], device: parameter.device)
        }
    }

    /// What is stepped, with weight decay and rate by group.
    public let groups: [ParameterGroup]
    /// Steps done, by which the moments' bias is corrected.
    public var updates = 0
    private let configuration: Configuration
    private let slots: [[Slot<Memory>]]
    private let values: (signed: Tensor, unsigned: Tensor)
    private let isFused: Bool

    /// - Parameters:
    ///   - shared: what the groups' tensors are parts of, where processes share them.
    ///   - isFused: false takes libtorch's operators on every device, as on one for which there is no kernel.
    public init(
        _ groups: [ParameterGroup], configuration: Configuration = Configuration(), among shared: SharedTensors? = nil,
        isFused: Bool = true
    ) throws {
        self.groups = groups
        self.configuration = configuration
        self.isFused = isFused
        values = (try Tensor(DynamicCode.values(signed: true)), try Tensor(DynamicCode.values(signed: false)))
        let wholes = shared?.named
        slots = try Slot.make(groups) { name, parameter in
            (wholes?[name]?.count ?? parameter.count) < configuration.leastElements
                ? .whole(try Moments(of: parameter))
                : .quantised(mean: try Quantised(of: parameter), square: try Quantised(of: parameter))
        }
    }

    /// Steps all parameters that have a gradient, in two calls for each group: float32 moments and quantised ones.
    public func step(learningRate: Double, gradientScale: Double) throws {
        begin()
        for (group, slots) in zip(groups, slots) {
            let step = step(group, learningRate, gradientScale)
            var whole: [(parameter: Tensor, gradient: Tensor, moments: Moments)] = []
            var quantised: [(parameter: Tensor, gradient: Tensor, mean: Quantised, square: Quantised)] = []
            for slot in slots {
                guard let gradient = try slot.gradient() else { continue }
                switch slot.memory {
                case .whole(let moments): whole.append((slot.parameter, gradient, moments))
                case .quantised(let mean, let square): quantised.append((slot.parameter, gradient, mean, square))
                }
            }
            try step(
                whole.map(\.parameter), gradients: whole.map(\.gradient), means: whole.map(\.moments.mean),
                squares: whole.map(\.moments.square))
            try step(
                quantised.map(\.parameter), gradients: quantised.map(\.gradient),
                means: (quantised.map(\.mean.codes), quantised.map(\.mean.scales)),
                squares: (quantised.map(\.square.codes), quantised.map(\.square.scales)), values: values,
                isFused: isFused)
        }
    }

    /// Steps one parameter; one in bfloat16 is stepped in float32 and rounded stochastically.
    public func step(_ index: Int, by gradient: Tensor, _ step: TensorStep) throws {
        let (group, slot) = slots.slot(index)
        let values = self.step(groups[group], step.learningRate, step.gradientScale)
        let gradients = [try gradient.to(dtype: .float32)]
        try slot.withWeights(step) { weights in
            switch slot.memory {
            case .whole(let moments):
                try values([weights], gradients: gradients, means: [moments.mean], squares: [moments.square])
            case .quantised(let mean, let square):
                try values(
                    [weights], gradients: gradients, means: ([mean.codes], [mean.scales]),
                    squares: ([square.codes], [square.scales]), values: self.values, isFused: isFused)
            }
        }
    }

    private func step(_ group: ParameterGroup, _ learningRate: Double, _ gradientScale: Double) -> AdamWStep {
        let moments = configuration.moments
        return AdamWStep(
            number: updates, learningRate: learningRate * group.rateFactor, betas: moments.betas,
            weightDecay: group.weightDecay, epsilon: moments.epsilon, gradientScale: gradientScale)
    }

    /// For each parameter `exp_avg.NAME` and `exp_avg_sq.NAME`; quantised ones also have `exp_avg_max.NAME` and
    /// `exp_avg_sq_max.NAME`, the scale of each 256 elements.
    public var state: [(name: String, tensor: Tensor)] {
        slots.joined().flatMap { slot in
            switch slot.memory {
            case .whole(let moments):
                [("exp_avg.\(slot.name)", moments.mean), ("exp_avg_sq.\(slot.name)", moments.square)]
            case .quantised(let mean, let square):
                [
                    ("exp_avg.\(slot.name)", mean.codes), ("exp_avg_max.\(slot.name)", mean.scales),
                    ("exp_avg_sq.\(slot.name)", square.codes), ("exp_avg_sq_max.\(slot.name)", square.scales),
                ]
            }
        }
    }

    /// Moments in parts, which are whole blocks where they are quantised.
    public func state(of shared: SharedTensors) -> [SharedState] {
        shared.wholes.flatMap { whole in
            guard whole.count >= configuration.leastElements else {
                return [whole.state("exp_avg"), whole.state("exp_avg_sq")]
            }
            return [
                whole.state("exp_avg", .uint8), whole.scales("exp_avg_max"), whole.state("exp_avg_sq", .uint8),
                whole.scales("exp_avg_sq_max"),
            ]
        }
    }
}
