import Torch

/// AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
public final class AdamW: Optimizer {
    /// Values that hold for a whole run.
    public struct Configuration: Sendable {
        public var betas = (0.9, 0.999)
        public var epsilon = 1e-8

        public init() {}
    }

    public static let name = "adamw"

    public let groups: [ParameterGroup]
    public var updates = 0
    private let configuration: Configuration
    private let slots: [[Slot<Moments>]]

    public init(_ groups: [ParameterGroup], configuration: Configuration = Configuration()) throws {
        self.groups = groups
        self.configuration = configuration
        slots = try Slot.make(groups) { try Moments(of: $0) }
    }

    public func step(learningRate: Double, gradientScale: Double) throws {
        begin()
        for (group, slots) in zip(groups, slots) {
            let ready = try slots.ready
            try values(group, learningRate, gradientScale)(
                ready.map(\.slot.parameter), gradients: ready.map(\.gradient),
                means: ready.map(\.slot.memory.mean), squares: ready.map(\.slot.memory.square))
        }
    }

    public func step(_ index: Int, by gradient: Tensor, _ step: TensorStep) throws {
        let (group, slot) = slots.slot(index)
        let values = values(groups[group], step.learningRate, step.gradientScale)
        let gradient = try gradient.to(dtype: .float32)
        try slot.withWeights(step.rounding) {
            try values([$0], gradients: [gradient], means: [slot.memory.mean], squares: [slot.memory.square])
        }
    }

    private func values(_ group: ParameterGroup, _ learningRate: Double, _ gradientScale: Double) -> AdamWStep {
        AdamWStep(
            number: updates, learningRate: learningRate * group.rateFactor, betas: configuration.betas,
            weightDecay: group.weightDecay, epsilon: configuration.epsilon, gradientScale: gradientScale)
    }

    public var state: [(name: String, tensor: Tensor)] {
        slots.joined().flatMap {
            [("exp_avg.\($0.name)", $0.memory.mean), ("exp_avg_sq.\($0.name)", $0.memory.square)]
        }
    }
}
