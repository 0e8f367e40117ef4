import Glibc
import Torch

/// Adafactor (Shazeer and Stern 2018), as transformers' Adafactor computes it.
///
/// Of the squared gradients of a matrix it keeps the means of rows and columns alone; of a convolution's kernel those
/// over the last dimension and over the one before it, as the source does.
public final class Adafactor: Optimizer {
    /// Values that hold for a whole run.
    public struct Configuration: Sendable {
        /// Added to squared gradients.
        public var gradientEpsilon = 1e-30
        /// The least scale of a parameter, where steps are scaled by it.
        public var parameterEpsilon = 1e-3
        /// Updates whose root mean square is above this are shrunk to it.
        public var clipThreshold = 1.0
        /// The mean of squares at update t forgets by 1 - t to this power.
        public var decayRate = -0.8
        /// The decay of a running mean of updates; nil keeps none.
        public var beta1: Double?
        /// Scales steps by the root mean square of the parameter.
        public var scalesByParameter = false
        /// Takes the least of 0.01 and 1 / sqrt(t) in place of the learning rate.
        public var hasRelativeStep = false
        /// With the relative step: lets it rise from 0.000001 t.
        public var warmsUp = false

        /// The values of transformers, without relative step and scaling by the parameter.
        public init() {}
    }

    /// `adafactor` in a configuration.
    public static let name = "adafactor"

    struct Memory {
        let mean: Tensor?
        let squares: Squares
    }

    /// Running means of squared gradients.
    enum Squares {
        case whole(Tensor)
        /// Of all of the parameter, also where this process has a part of it.
        case factored(rows: Tensor, columns: Tensor)
    }

    /// What is stepped, with weight decay and rate by group.
    public let groups: [ParameterGroup]
    /// Steps done, by which the mean of squares forgets less and less.
    public var updates = 0
    let configuration: Configuration
    private let slots: [[Slot<Memory>]]
    /// What processes share; nil where this one steps all by itself.
    private let shared: SharedTensors?
    /// Of tensors that processes share, those with rows and columns, by name.
    let factors: [String: (rows: Tensor, columns: Tensor)]

    /// Begins with means of zero: of rows and columns where a parameter has two dimensions or more.
    /// - Parameter shared: what the groups' tensors are parts of, where processes share them.
    /// - Throws: where a parameter is neither float32 nor bfloat16.
    public init(
        _ groups: [ParameterGroup], configuration: Configuration = Configuration(), among shared: SharedTensors? = nil
    ) throws {
        self.groups = groups
        self.configuration = configuration
        self.shared = shared
        func factors(_ shape: [Int], _ device: Device = .cpu) throws -> (rows: Tensor, columns: Tensor) {
            (
                try .zeros(shape.dropLast(), device: device),
                try .zeros(shape.dropLast(2) + shape.suffix(1), device: device)
            )
        }
        var common: [String: (rows: Tensor, columns: Tensor)] = [:]
        for whole in shared?.wholes ?? [] where whole.shape.count >= 2 {
            common[whole.name] = try factors(whole.shape)
        }
        self.factors = common
        slots = try Slot.make(groups) { name, parameter in
            let shape = parameter.shape
            func zeros() throws -> Tensor { try .zeros(shape, device: parameter.device) }
            let squares: Squares
            if let (rows, columns) = try common[name] ?? (shape.count < 2 ? nil : factors(shape, parameter.device)) {
                squares = .factored(rows: rows, columns: columns)
            } else {
                squares = .whole(try zeros())
            }
            return Memory(mean: configuration.beta1 == nil ? nil : try zeros(), squares: squares)
        }
    }

    /// Steps all parameters that have a gradient, one after the other.
    public func step(learningRate: Double, gradientScale: Double) throws {
        begin()
        if let shared {
            return try step(among: shared, learningRate, gradientScale: gradientScale, nil) { try $1.gradient() }
        }
        try withoutGradients {
            for (group, slots) in zip(groups, slots) {
                let rate = effectiveRate(learningRate) * group.rateFactor
                for slot in slots {
                    guard let gradient = try slot.gradient() else { continue }
                    if gradientScale != 1 { try gradient.scale(by: gradientScale) }
                    try step(slot, slot.parameter, gradient, rate: rate, weightDecay: group.weightDecay)
                }
            }
        }
    }

    /// Steps one parameter; one in bfloat16 is stepped in float32 and rounded stochastically.
    public func step(_ index: Int, by gradient: Tensor, _ step: TensorStep) throws {
        try withoutGradients {
            let (place, slot) = slots.slot(index)
            let group = groups[place]
            let gradient = try gradient.to(dtype: .float32)
            if step.gradientScale != 1 { try gradient.scale(by: step.gradientScale) }
            let rate = effectiveRate(step.learningRate) * group.rateFactor
            try slot.withWeights(step) {
                try self.step(slot, $0, gradient, rate: rate, weightDecay: group.weightDecay)
            }
        }
    }

    /// Steps all parameters; parts of those that processes share take sums over all of each.
    public func stepEach(_ step: TensorStep, by gradient: (Int) throws -> Tensor?) throws {
        guard let shared else { return try stepOneByOne(step, by: gradient) }
        begin()
        try self.step(among: shared, step.learningRate, gradientScale: step.gradientScale, step) { index, _ in
            try gradient(index)?.to(dtype: .float32).contiguous()
        }
    }

    /// - Parameters:
    ///   - step: how bfloat16 weights are rounded.
    ///   - gradient: of a parameter by its place among those of all groups, in float32.
    private func step(
        among shared: SharedTensors, _ learningRate: Double, gradientScale: Double, _ step: TensorStep?,
        gradient: (Int, Slot<Memory>) throws -> Tensor?
    ) throws {
        let rate = effectiveRate(learningRate)
        var parts: [Part] = []
        for (index, (group, slot)) in zip(groups, slots).flatMap({ group, slots in slots.map { (group, $0) } })
            .enumerated()
        {
            guard let gradient = try gradient(index, slot) else { continue }
            parts.append(
                Part(
                    slot: slot, gradient: gradient, rate: rate * group.rateFactor, weightDecay: group.weightDecay,
                    step: step?.of(index, slot.name)))
        }
        try withoutGradients { try self.step(parts, gradientScale: gradientScale, among: shared) }
    }

    /// The relative step where it is asked for, whose update is the one done last.
    public func effectiveRate(_ learningRate: Double) -> Double {
        guard configuration.hasRelativeStep else { return learningRate }
        let number = Double(max(1, updates))
        return min(configuration.warmsUp ? 1e-6 * number : 1e-2, 1 / number.squareRoot())
    }

    private func step(
        _ slot: Slot<Memory>, _ parameter: Tensor, _ gradient: Tensor, rate: Double, weightDecay: Double
    ) throws {
        // A number for all steps of the tensor, or one that hangs on the parameter.
        let scale =
            configuration.scalesByParameter
            ? try Self.rootMeanSquare(parameter).clamped(min: configuration.parameterEpsilon) : nil
        let update = try direction(slot.memory.squares, gradient)
        try take(
            update, slot.memory.mean, parameter, size: Self.rootMeanSquare(update), scale: scale, rate: rate,
            weightDecay: weightDecay)
    }

    /// Changes a parameter by an update, which is changed too.
    /// - Parameters:
    ///   - mean: the running mean of updates; nil where there is none.
    ///   - size: the root mean square of all of the update.
    ///   - scale: what the step is multiplied by beside its rate.
    func take(
        _ update: Tensor, _ mean: Tensor?, _ parameter: Tensor, size: Tensor, scale: Tensor?, rate: Double,
        weightDecay: Double
    ) throws {
        try update.divide(by: (size / configuration.clipThreshold).clamped(min: 1))
        try update.scale(by: rate)
        if let scale { try update.scale(by: scale) }
        let change: Tensor
        if let mean, let beta1 = configuration.beta1 {
            try mean.scale(by: beta1)
            try mean.accumulate(update, scale: 1 - beta1)
            change = mean
        } else {
            change = update
        }
        if weightDecay != 0 {
            if let scale {
                try parameter.accumulate(productOf: parameter, scale, scale: -weightDecay * rate)
            } else {
                try parameter.accumulate(parameter, scale: -weightDecay * rate)
            }
        }
        try parameter.accumulate(change, scale: -1)
    }

    /// The gradient over the root of the mean of its squares, which this brings up to date.
    private func direction(_ squares: Squares, _ gradient: Tensor) throws -> Tensor {
        let square = try square(gradient)
        switch squares {
        case .whole(let mean):
            try follow(mean, square)
            return try mean.reciprocalSqrt() * gradient
        case .factored(let rows, let columns):
            try follow(rows, square.mean([-1]))
            try follow(columns, square.mean([-2]))
            let update = try rowFactors(rows).unsqueezed(-1) * columns.unsqueezed(-2).reciprocalSqrt()
            try update.scale(by: gradient)
            return update
        }
    }

    /// A gradient's squares, never zero.
    func square(_ gradient: Tensor) throws -> Tensor {
        let square = try gradient.squared()
        try square.accumulate(configuration.gradientEpsilon)
        return square
    }

    /// Brings a running mean of squares up to date.
    func follow(_ mean: Tensor, _ value: Tensor) throws {
        let beta = 1 - pow(Double(updates), configuration.decayRate)
        try mean.scale(by: beta)
        try mean.accumulate(value, scale: 1 - beta)
    }

    /// What the gradients of each row are multiplied by.
    func rowFactors(_ rows: Tensor) throws -> Tensor {
        try (rows / rows.mean([-1], keepingDimensions: true)).reciprocalSqrt()
    }

    private static func rootMeanSquare(_ tensor: Tensor) throws -> Tensor {
        try tensor.norm() / Double(tensor.count).squareRoot()
    }

    /// For each parameter `exp_avg_sq_row.NAME` and `exp_avg_sq_col.NAME`, or `exp_avg_sq.NAME`; before them
    /// `exp_avg.NAME` where there is a running mean of updates.
    public var state: [(name: String, tensor: Tensor)] {
        func named(_ name: String, _ rows: Tensor, _ columns: Tensor) -> [(name: String, tensor: Tensor)] {
            [("exp_avg_sq_row.\(name)", rows), ("exp_avg_sq_col.\(name)", columns)]
        }
        let own = slots.joined().flatMap { slot -> [(name: String, tensor: Tensor)] in
            let mean = slot.memory.mean.map { [(name: "exp_avg.\(slot.name)", tensor: $0)] } ?? []
            switch slot.memory.squares {
            case .whole(let square): return mean + [("exp_avg_sq.\(slot.name)", square)]
            case .factored(let rows, let columns):
                return mean + (shared == nil ? named(slot.name, rows, columns) : [])
            }
        }
        return own + factors.sorted { $0.key < $1.key }.flatMap { named($0.key, $0.value.rows, $0.value.columns) }
    }

    /// Means in parts, and in each process all rows and columns.
    public func state(of shared: SharedTensors) -> [SharedState] {
        shared.wholes.flatMap { whole in
            let mean = configuration.beta1 == nil ? [] : [whole.state("exp_avg")]
            guard whole.shape.count >= 2 else { return mean + [whole.state("exp_avg_sq")] }
            return mean + [
                whole.common("exp_avg_sq_row", whole.shape.dropLast()),
                whole.common("exp_avg_sq_col", whole.shape.dropLast(2) + whole.shape.suffix(1)),
            ]
        }
    }
}
