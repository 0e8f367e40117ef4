import Failures
import Glibc
import Torch

/// Prodigy (Mishchenko and Defazio 2023), as prodigyopt's Prodigy computes it: AdamW that finds its learning rate.
///
/// It estimates the distance `d` from the start to the solution by how gradients point back at the start, and takes
/// `d` times the learning rate, which stays 1, for a rate.
public final class Prodigy: Optimizer {
    /// Values that hold for a whole run.
    public struct Configuration: Sendable {
        /// What a step leaves of the means of gradients and of their squares, each at least 0 and below 1.
        public var betas = (0.9, 0.999)
        /// The decay of the sums that the estimate is made of; nil takes the root of the second beta.
        public var beta3: Double?
        /// Added to the root of the mean of squares, multiplied by the estimate.
        public var epsilon = 1e-8
        /// The first estimate.
        public var d0 = 1e-6
        /// What estimates are multiplied by.
        public var dCoefficient = 1.0
        /// How much the estimate may grow in one update.
        public var growthRate = Double.infinity
        /// Divides the bias of the moments out of the rate, as AdamW does.
        public var correctsBias = false
        /// Leaves the learning rate out of the estimate's denominator, for runs with a warm-up.
        public var safeguardsWarmup = false

        /// prodigyopt's own values.
        public init() {}
    }

    /// `prodigy` in a configuration.
    public static let name = "prodigy"

    private struct Memory {
        let moments: Moments
        /// The running sum of scaled gradients.
        let sum: Tensor
        /// The parameter as it began; a single zero where all of it is zero.
        let start: Tensor
    }

    /// What changes from update to update beside tensors of the parameters' shapes.
    private struct Estimate {
        var d: Double
        var largest: Double
        var numerator = 0.0
        /// Updates in which there were gradients.
        var steps = 0.0
    }

    /// What is stepped, with weight decay by group and one rate for all.
    public let groups: [ParameterGroup]
    /// Updates that were begun; one at a learning rate of 0, or without gradients, changes nothing.
    public var updates = 0
    private let configuration: Configuration
    private let slots: [[Slot<Memory>]]
    /// The estimate as it is saved: d, its largest value so far, the numerator and the steps, [4] float64.
    private let saved: Tensor
    /// What processes share; nil where this one steps all by itself.
    private let shared: SharedTensors?
    /// Of tensors that processes share, the starts of those that are zero, by name.
    private let zeroStarts: [String: Tensor]

    /// - Parameter shared: what the groups' tensors are parts of, where processes share them.
    /// - Throws: a failure of the input where the groups' learning rates differ: there is one estimate for all.
    public init(
        _ groups: [ParameterGroup], configuration: Configuration = Configuration(), among shared: SharedTensors? = nil
    ) throws {
        guard groups.allSatisfy({ $0.rateFactor == 1 }) else {
            throw Failure.input(
                "prodigy finds one learning rate for all that is trained", expected: "no other rate beside `lr`",
                advice: "leave the further rates out, or choose another optimizer")
        }
        self.groups = groups
        self.configuration = configuration
        self.shared = shared
        let zeroStarts = try shared.map { shared in
            let zeros = shared.wholes.filter(\.startsAtZero)
            return Dictionary(uniqueKeysWithValues: try zeros.map { ($0.name, try Tensor.zeros([])) })
        }
        self.zeroStarts = zeroStarts ?? [:]
        saved = try Tensor([configuration.d0, configuration.d0, 0, 0])
        slots = try Slot.make(groups, dtypes: [.float32]) { name, parameter in
            let values = try parameter.detached()
            let isZero = try zeroStarts.map { $0[name] != nil } ?? (values.norm().item() == 0)
            return Memory(
                moments: try Moments(of: parameter), sum: try .zeros(parameter.shape, device: parameter.device),
                start: try zeroStarts?[name] ?? (isZero ? .zeros([], device: parameter.device) : values.cloned()))
        }
    }

    /// Estimates the distance by all gradients together, then steps all parameters that have one.
    public func step(learningRate: Double, gradientScale: Double) throws {
        begin()
        var estimate = try estimate()
        let rate = rate(estimate, learningRate)
        guard learningRate > 0 else { return }
        try withoutGradients {
            let ready = try zip(groups, slots).flatMap { group, slots in
                try slots.compactMap { slot in
                    try slot.gradient().map { (slot: slot, gradient: $0, weightDecay: group.weightDecay) }
                }
            }
            if gradientScale != 1 { try Tensor.scale(ready.map(\.gradient), by: gradientScale) }
            guard try improve(&estimate, ready.map { ($0.slot, $0.gradient) }, rate: rate) else { return }
            for (slot, _, weightDecay) in ready {
                let denominator = try slot.memory.moments.square.sqrt()
                try denominator.accumulate(estimate.d * configuration.epsilon)
                if weightDecay != 0 { try slot.parameter.accumulate(slot.parameter, scale: -weightDecay * rate) }
                try slot.parameter.accumulate(quotientOf: slot.memory.moments.mean, denominator, scale: -rate)
            }
            estimate.steps += 1
            try save(estimate)
        }
    }

    /// - Throws: always: the estimate, and with it every step, hangs on the gradients of all tensors together.
    public func step(_ index: Int, by gradient: Tensor, _ step: TensorStep) throws {
        throw Failure.run("prodigy steps all tensors at once", expected: "an optimizer that takes them one by one")
    }

    /// Follows the gradients and estimates the distance anew.
    /// - Returns: whether there was anything to learn from.
    private func improve(
        _ estimate: inout Estimate, _ ready: [(slot: Slot<Memory>, gradient: Tensor)], rate: Double
    ) throws -> Bool {
        let (beta1, beta2) = configuration.betas
        let beta3 = configuration.beta3 ?? beta2.squareRoot()
        let d = estimate.d
        let share = d / configuration.d0
        var towards: [Tensor] = []
        var sizes: [Tensor] = []
        for (slot, gradient) in ready {
            let memory = slot.memory
            // From here to the start, [n].
            let back = try (memory.start - slot.parameter.detached()).reshaped([-1])
            towards.append(try gradient.reshaped([-1]).dot(back))
            try memory.moments.mean.scale(by: beta1)
            try memory.moments.mean.accumulate(gradient, scale: d * (1 - beta1))
            try memory.moments.square.scale(by: beta2)
            try memory.moments.square.accumulate(productOf: gradient, gradient, scale: d * d * (1 - beta2))
            try memory.sum.scale(by: beta3)
            try memory.sum.accumulate(gradient, scale: share * (configuration.safeguardsWarmup ? d : rate))
            sizes.append(try memory.sum.absoluteSum())
        }
        let totals = try Tensor([Self.total(sizes), Self.total(towards)])
        try shared?.sum([totals])
        let (denominator, direction) = (try totals.sliced(0, 0..<1).item(), try totals.sliced(0, 1..<2).item())
        guard denominator != 0 else { return false }
        estimate.numerator = estimate.numerator * beta3 + share * rate * direction
        let found = configuration.dCoefficient * estimate.numerator / denominator
        if d == configuration.d0 { estimate.d = max(d, found) }
        estimate.largest = max(estimate.largest, found)
        estimate.d = min(estimate.largest, estimate.d * configuration.growthRate)
        return true
    }

    /// The sum of single numbers, in float64 and with one wait for the device.
    private static func total(_ numbers: [Tensor]) throws -> Double {
        guard !numbers.isEmpty else { return 0 }
        return try Tensor.stacked(numbers).to(dtype: .float64).sum().item()
    }

    private func rate(_ estimate: Estimate, _ learningRate: Double) -> Double {
        guard configuration.correctsBias else { return estimate.d * learningRate }
        let (beta1, beta2) = configuration.betas
        let number = estimate.steps + 1
        return estimate.d * learningRate * (1 - pow(beta2, number)).squareRoot() / (1 - pow(beta1, number))
    }

    /// The rate that the next step takes.
    public func effectiveRate(_ learningRate: Double) throws -> Double { rate(try estimate(), learningRate) }

    private func estimate() throws -> Estimate {
        let numbers = try saved.values(as: Double.self)
        return Estimate(d: numbers[0], largest: numbers[1], numerator: numbers[2], steps: numbers[3])
    }

    private func save(_ estimate: Estimate) throws {
        try saved.assign(Tensor([estimate.d, estimate.largest, estimate.numerator, estimate.steps]))
    }

    /// `prodigy`, the estimate; and for each parameter `exp_avg.NAME`, `exp_avg_sq.NAME`, `s.NAME` and `p0.NAME`.
    public var state: [(name: String, tensor: Tensor)] {
        let own = slots.joined().flatMap { slot -> [(name: String, tensor: Tensor)] in
            let memory = slot.memory
            let start = [(name: "p0.\(slot.name)", tensor: memory.start)]
            return [
                ("exp_avg.\(slot.name)", memory.moments.mean), ("exp_avg_sq.\(slot.name)", memory.moments.square),
                ("s.\(slot.name)", memory.sum),
            ] + (zeroStarts[slot.name] == nil ? start : [])
        }
        return [("prodigy", saved)] + own + zeroStarts.sorted { $0.key < $1.key }.map { ("p0.\($0.key)", $0.value) }
    }

    /// All in parts but the estimate, and starts that are zero.
    public func state(of shared: SharedTensors) -> [SharedState] {
        [SharedState(name: "prodigy", shape: saved.shape, dtype: saved.dtype, part: nil)]
            + shared.wholes.flatMap { whole in
                [
                    whole.state("exp_avg"), whole.state("exp_avg_sq"), whole.state("s"),
                    zeroStarts[whole.name] == nil ? whole.state("p0") : whole.common("p0", []),
                ]
            }
    }
}
