import Failures
import Torch

/// What steps trained parameters by their gradients.
///
/// Its state is float32 beside the parameters, has a name for every tensor, and together with the number of updates
/// is all that the next step depends on: saved and restored, an optimizer goes on bit for bit.
public protocol Optimizer: AnyObject {
    /// What a configuration calls it.
    static var name: String { get }
    /// What is stepped, in the order in which ``step(_:by:_:)`` counts the tensors.
    var groups: [ParameterGroup] { get }
    /// Updates done.
    var updates: Int { get set }

    /// Applies the gradients that the parameters carry; a parameter without one is left as it is. All are float32.
    /// - Parameters:
    ///   - learningRate: of this step, before a group's own factor.
    ///   - gradientScale: what all gradients are multiplied by first, so that clipping needs no pass of its own. The
    ///     gradients may be changed by it.
    func step(learningRate: Double, gradientScale: Double) throws

    /// Steps one tensor by its gradient, as ``step(learningRate:gradientScale:)`` steps all of them. Every update has
    /// ``begin()`` first and each tensor once, in any order.
    /// - Parameters:
    ///   - index: of the tensor among those of all groups.
    ///   - gradient: of its shape; may be changed by it.
    /// - Throws: where the optimizer needs all gradients at once; ``OptimizerChoice/stepsTensorByTensor`` tells.
    func step(_ index: Int, by gradient: Tensor, _ step: TensorStep) throws

    /// Steps all tensors, each by itself as far as the optimizer can, and drops each gradient once it is used.
    /// - Parameter gradient: of a tensor, by its place among those of all groups; nil leaves it as it is.
    func stepEach(_ step: TensorStep, by gradient: (Int) throws -> Tensor?) throws

    /// The state by name, to be saved beside the parameters; the tensors are the optimizer's own.
    var state: [(name: String, tensor: Tensor)] { get }

    /// How the state of tensors that processes share is put together: every tensor of ``state`` by its name, and those of which
    /// this process has nothing.
    func state(of shared: SharedTensors) -> [SharedState]

    /// What AdamW's learning rate would have to be for a step of the same size, as far as it is one number: for logs.
    func effectiveRate(_ learningRate: Double) throws -> Double
}

extension Optimizer {
    /// ``name`` of the optimizer's type.
    public var name: String { Self.name }

    /// Steps by the gradients as they are, not clipped.
    public func step(learningRate: Double) throws { try step(learningRate: learningRate, gradientScale: 1) }

    /// The learning rate itself, as of AdamW.
    public func effectiveRate(_ learningRate: Double) -> Double { learningRate }

    /// Counts the update whose tensors are stepped next.
    public func begin() { updates += 1 }

    /// Removes the gradients of all parameters.
    public func clearGradients() throws { try groups.clearGradients() }

    /// Takes up a saved state.
    /// - Throws: where a tensor is missing or has another shape.
    public func restore(updates: Int, state saved: (String) throws -> Tensor?) throws {
        for (name, tensor) in state {
            guard let value = try saved(name), value.shape == tensor.shape, value.dtype == tensor.dtype else {
                throw Failure.input(
                    "the optimizer's state does not fit this run",
                    expected: "\(name) of shape \(tensor.shape), \(tensor.dtype)",
                    advice: "start under another experiment_id, or put back the configuration it was saved with")
            }
            try tensor.assign(value)
        }
        self.updates = updates
    }
}

/// What a step of a tensor takes beside its gradient.
public struct TensorStep {
    /// Before a group's own factor.
    public var learningRate: Double
    /// What the gradient is multiplied by first.
    public var gradientScale: Double
    /// Of one sample for each tensor: which way bfloat16 weights are rounded.
    public var rounding: Draws
    /// Where the weights begin in a tensor that processes share.
    public private(set) var first = 0
    private let places: [String: (place: Int, first: Int)]?

    /// - Parameters:
    ///   - rounding: used for bfloat16 weights alone.
    ///   - shared: what the tensors are parts of, where processes share them; the draws are of all of those then.
    public init(learningRate: Double, gradientScale: Double, rounding: Draws, among shared: SharedTensors? = nil) {
        self.learningRate = learningRate
        self.gradientScale = gradientScale
        self.rounding = rounding
        places = shared.map { shared in
            Dictionary(
                shared.wholes.enumerated().map { ($1.name, (place: $0, first: $1.part.lowerBound)) }
            ) { first, _ in first }
        }
    }

    /// Of one tensor, by its place among those of all groups and its name: rounded as all of it would be.
    func of(_ index: Int, _ name: String) -> TensorStep {
        var step = self
        let (place, first) = places?[name] ?? (index, 0)
        step.rounding = rounding[place..<place + 1]
        step.first = first
        return step
    }
}

/// A parameter with what an optimizer remembers of it.
struct Slot<Memory> {
    let name: String
    let parameter: Tensor
    let memory: Memory

    /// The slots of each group.
    /// - Parameter dtypes: what parameters may be kept in; the memory is float32 all the same.
    static func make(
        _ groups: [ParameterGroup], dtypes: [DType] = [.float32, .bfloat16],
        _ remember: (_ name: String, _ parameter: Tensor) throws -> Memory
    ) throws -> [[Slot<Memory>]] {
        try groups.map { group in
            try group.parameters.map { name, tensor in
                guard dtypes.contains(tensor.dtype) else {
                    throw Failure.run(
                        "an optimizer steps \(dtypes.map(\.description).joined(separator: " or "))",
                        got: "\(name) of \(tensor.dtype)")
                }
                return Slot(name: name, parameter: tensor, memory: try remember(name, tensor))
            }
        }
    }

    /// The parameter's gradient as a vector or matrix in its own order of elements; nil where there is none.
    func gradient() throws -> Tensor? { try parameter.gradient()?.contiguous() }

    /// Runs `body` on the weights in float32: the parameter itself, or a copy that is rounded stochastically into it.
    /// - Parameter step: of this tensor; float32 weights need none.
    func withWeights(_ step: TensorStep?, _ body: (Tensor) throws -> Void) throws {
        if parameter.dtype == .float32 { return try body(parameter) }
        guard let step else { preconditionFailure("`\(name)` is rounded by no draws") }
        let weights = try parameter.detached().to(dtype: .float32)
        try body(weights)
        try step.rounding.round(weights, into: parameter, from: step.first)
    }
}

extension Array {
    /// The slot of a tensor by its place among all groups, and its group's place.
    func slot<Memory>(_ index: Int) -> (group: Int, slot: Slot<Memory>) where Element == [Slot<Memory>] {
        var rest = index
        for (group, slots) in enumerated() {
            if rest < slots.count { return (group, slots[rest]) }
            rest -= slots.count
        }
        preconditionFailure("there is no parameter \(index)")
    }
}

extension [Slot<Moments>] {
    /// Those that have a gradient, and the gradients.
    var ready: [(slot: Slot<Moments>, gradient: Tensor)] {
        get throws { try compactMap { slot in try slot.gradient().map { (slot, $0) } } }
    }
}

/// Running means of gradients and of their squares, of the parameter's shape.
struct Moments {
    let mean: Tensor
    let square: Tensor

    init(of parameter: Tensor) throws {
        mean = try .zeros(parameter.shape, device: parameter.device)
        square = try .zeros(parameter.shape, device: parameter.device)
    }
}
