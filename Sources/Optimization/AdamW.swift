import Torch

/// AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
public final class AdamW: Optimizer {
    /// Values that hold for a whole run.
    public struct Configuration: Sendable {
        /// What a step leaves of the means of gradients and of their squares, each at least 0 and below 1.
        public var betas = (0.9, 0.999)
        /// Added to the root of the mean of squares, so that small gradients do not divide by zero.
        public var epsilon = 1e-8

        /// torch's own values.
        public init() {}
    }

    /// `adamw` in a configuration.
    public static let name = "adamw"

    /// What is stepped, with weight decay and rate by group.
    public let groups: [ParameterGroup]
    /// Steps done, by which the moments' bias is corrected.
    public var updates = 0
    private let configuration: Configuration
    private let slots: [[Slot<Moments>]]

    /// Begins with moments of zero, two for each parameter.
    /// - Throws: where a parameter is neither float32 nor bfloat16.
    public init(_ groups: [ParameterGroup], configuration: Configuration = Configuration()) throws {
        self.groups = groups
        self.configuration = configuration
        slots = try Slot.make(groups) { try Moments(of: $1) }
    }

    /// Steps all parameters that have a gradient, in one call for each group.
    public func step(learningRate: Double, gradientScale: Double) throws {
        begin()
        for (group, slots) in zip(groups, slots) {
            let ready = try slots.ready
            try values(group, learningRate, gradientScale)(
                ready.map(\.slot.parameter), gradients: ready.map(\.gradient),
                means: ready.map(\.slot.memory.mean), squares: ready.map(\.slot.memory.square))
        }
    }

    /// Steps one parameter; one in bfloat16 is stepped in float32 and rounded stochastically.
    public func step(_ index: Int, by gradient: Tensor, _ step: TensorStep) throws {
        let (group, slot) = slots.slot(index)
        let values = values(groups[group], step.learningRate, step.gradientScale)
        let gradient = try gradient.to(dtype: .float32)
        try slot.withWeights(step) {
            try values([$0], gradients: [gradient], means: [slot.memory.mean], squares: [slot.memory.square])
        }
    }

    private func values(_ group: ParameterGroup, _ learningRate: Double, _ gradientScale: Double) -> AdamWStep {
        AdamWStep(
            number: updates, learningRate: learningRate * group.rateFactor, betas: configuration.betas,
            weightDecay: group.weightDecay, epsilon: configuration.epsilon, gradientScale: gradientScale)
    }

    /// For each parameter `exp_avg.NAME` and `exp_avg_sq.NAME`, of its shape.
    public var state: [(name: String, tensor: Tensor)] {
        slots.joined().flatMap {
            [("exp_avg.\($0.name)", $0.memory.mean), ("exp_avg_sq.\($0.name)", $0.memory.square)]
        }
    }

    /// Both moments in parts.
    public func state(of shared: SharedTensors) -> [SharedState] {
        shared.wholes.flatMap { [$0.state("exp_avg"), $0.state("exp_avg_sq")] }
    }
}
