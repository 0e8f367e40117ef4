import Failures
import Torch

/// Steps each tensor as soon as a backward pass has its whole gradient, and drops the gradient at once: of all gradients
/// few are there at a time.
///
/// The norm of all of them is known only when every step is done, so they are clipped by the norm of the update before. A
/// gradient that is not finite ends the steps of its update; those already taken stand, and it is for the caller to go
/// back to weights from before them.
public final class FusedSteps {
    /// An update under way.
    private struct Pass {
        let step: TensorStep
        /// Gradients that are still to be added up, by tensor.
        var awaited: [Int]
        var norms: [Double]
        var isFinite = true
    }

    private let optimizer: any Optimizer
    private let tensors: [Tensor]
    private let arrivals: [Int]
    private let sum: ((Tensor) throws -> Void)?
    private var pass: Pass?

    /// - Parameters:
    ///   - arrivals: how often a backward pass adds to each tensor's gradient: once, but for weights of blocks that are run
    ///     several times and computed again each time.
    ///   - sum: adds to a gradient, in float32, those of other processes, whose passes come by the same tensors in the same
    ///     order; nil where there are none.
    public init(
        _ optimizer: any Optimizer, arrivals: (_ name: String) -> Int, sum: ((Tensor) throws -> Void)? = nil
    ) throws {
        self.optimizer = optimizer
        self.sum = sum
        tensors = optimizer.groups.parameters.map(\.tensor)
        self.arrivals = optimizer.groups.parameters.map { arrivals($0.name) }
        for (index, tensor) in tensors.enumerated() {
            try tensor.setGradientHook { [weak self] in try self?.arrived(index) }
        }
    }

    deinit {
        for tensor in tensors { try? tensor.setGradientHook(nil) }
    }

    /// Makes an update.
    /// - Parameter backward: runs the one backward pass of it.
    /// - Returns: the norm of all gradients together, before they were clipped; not finite where one was not.
    /// - Throws: what that throws; tensors may then be stepped or not.
    public func callAsFunction(_ step: TensorStep, backward: () throws -> Void) throws -> Double {
        pass = Pass(step: step, awaited: arrivals, norms: Array(repeating: 0, count: tensors.count))
        defer { pass = nil }
        optimizer.begin()
        try backward()
        // What the pass did not come by has a gradient of zero.
        for (index, tensor) in tensors.enumerated() where pass?.awaited[index] == arrivals[index] {
            try take(index, .zeros(tensor.shape, dtype: tensor.dtype, device: tensor.device))
        }
        guard let pass, pass.awaited.allSatisfy({ $0 == 0 }) else {
            let index = pass?.awaited.firstIndex { $0 != 0 } ?? 0
            throw Failure.run(
                "a backward pass left a gradient half added up",
                expected: "\(arrivals[index]) parts for `\(optimizer.groups.parameters[index].name)`",
                advice: "set `fused_backward: false`")
        }
        return pass.isFinite ? pass.norms.reduce(0) { $0 + $1 * $1 }.squareRoot() : .nan
    }

    /// A backward pass has added to a tensor's gradient.
    private func arrived(_ index: Int) throws {
        guard let awaited = pass?.awaited[index] else { return }
        guard awaited > 0 else {
            throw Failure.run(
                "a gradient came after its step", got: "`\(optimizer.groups.parameters[index].name)`",
                advice: "set `fused_backward: false`")
        }
        pass?.awaited[index] = awaited - 1
        guard awaited == 1, let gradient = try tensors[index].gradient() else { return }
        try tensors[index].setGradient(nil)
        try take(index, gradient)
    }

    private func take(_ index: Int, _ gradient: Tensor) throws {
        pass?.awaited[index] = 0
        guard let step = pass?.step, pass?.isFinite == true else { return }
        var gradient = try gradient.contiguous()
        if let sum {
            gradient = try gradient.to(dtype: .float32)
            try sum(gradient)
        }
        let norm = try Tensor.norm(of: [gradient])
        pass?.norms[index] = norm
        guard norm.isFinite else {
            pass?.isFinite = false
            return
        }
        try optimizer.step(index, by: gradient, step.of(index, optimizer.groups.parameters[index].name))
    }
}

extension Optimizer {
    /// Steps all tensors one after the other.
    public func stepEach(_ step: TensorStep, by gradient: (Int) throws -> Tensor?) throws {
        try stepOneByOne(step, by: gradient)
    }

    func stepOneByOne(_ step: TensorStep, by gradient: (Int) throws -> Tensor?) throws {
        begin()
        for (index, parameter) in groups.parameters.enumerated() {
            guard let gradient = try gradient(index)?.contiguous() else { continue }
            try parameter.tensor.setGradient(nil)
            try self.step(index, by: gradient, step.of(index, parameter.name))
        }
    }
}
