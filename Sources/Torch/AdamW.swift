import Failures

/// AdamW (Loshchilov and Hutter 2019) over named parameters, with state in float32.
public final class AdamW {
    /// Values that hold for a whole run.
    public struct Configuration: Sendable {
        public var beta1 = 0.9
        public var beta2 = 0.999
        public var epsilon = 1e-8

        public init() {}
    }

    /// Parameters that share a weight decay.
    public struct Group {
        public var parameters: [(name: String, tensor: Tensor)]
        public var weightDecay: Double

        public init(_ parameters: [(name: String, tensor: Tensor)], weightDecay: Double) {
            self.parameters = parameters
            self.weightDecay = weightDecay
        }
    }

    private struct Slot {
        let name: String
        let parameter: Tensor
        let mean: Tensor
        let square: Tensor
    }

    public let configuration: Configuration
    private let groups: [(slots: [Slot], weightDecay: Double)]
    /// Updates done.
    public private(set) var updates = 0

    public init(_ groups: [Group], configuration: Configuration = Configuration()) throws {
        self.configuration = configuration
        self.groups = try groups.map { group in
            let slots = try group.parameters.map { name, tensor in
                Slot(
                    name: name, parameter: tensor, mean: try .zeros(tensor.shape, device: tensor.device),
                    square: try .zeros(tensor.shape, device: tensor.device))
            }
            return (slots, group.weightDecay)
        }
    }

    /// Applies the gradients that the parameters carry; a parameter without one is left as it is.
    public func step(learningRate: Double) throws {
        updates += 1
        for group in groups {
            let ready = try group.slots.compactMap { slot in try slot.parameter.gradient().map { (slot, $0) } }
            guard let device = ready.first?.0.parameter.device else { continue }
            let steps = try ready.map { _ in try Tensor([Float(updates)], shape: []).to(device: device) }
            try withoutGradients {
                _ = try Operators.fusedAdamW.call([
                    .tensors(ready.map(\.0.parameter)), .tensors(ready.map(\.1)), .tensors(ready.map(\.0.mean)),
                    .tensors(ready.map(\.0.square)), .tensors([]), .tensors(steps),
                    .double(learningRate), .double(configuration.beta1), .double(configuration.beta2),
                    .double(group.weightDecay), .double(configuration.epsilon), .bool(false), .bool(false),
                ])
            }
        }
    }

    /// Removes the gradients of all parameters.
    public func clearGradients() throws {
        for slot in groups.flatMap(\.slots) { try slot.parameter.setGradient(nil) }
    }

    /// The Euclidean norm over all gradients.
    public func gradientNorm() throws -> Double {
        var sum = 0.0
        for slot in groups.flatMap(\.slots) {
            guard let gradient = try slot.parameter.gradient() else { continue }
            let norm = try gradient.norm().item()
            sum += norm * norm
        }
        return sum.squareRoot()
    }

    /// Scales all gradients so that their norm is at most `limit`, as `torch.nn.utils.clip_grad_norm_` does.
    /// - Returns: the norm before.
    public func clipGradients(to limit: Double) throws -> Double {
        let norm = try gradientNorm()
        let factor = limit / (norm + 1e-6)
        if factor < 1 {
            for slot in groups.flatMap(\.slots) { try slot.parameter.gradient()?.scale(by: factor) }
        }
        return norm
    }

    /// The running means, `exp_avg.NAME` and `exp_avg_sq.NAME`, to be saved beside the parameters.
    public func state() -> [(name: String, tensor: Tensor)] {
        groups.flatMap(\.slots).flatMap { [("exp_avg.\($0.name)", $0.mean), ("exp_avg_sq.\($0.name)", $0.square)] }
    }

    /// Takes up a saved state.
    /// - Throws: where a tensor is missing or has another shape.
    public func restore(updates: Int, state saved: (String) throws -> Tensor?) throws {
        for (name, tensor) in state() {
            guard let value = try saved(name), value.shape == tensor.shape else {
                throw Failure.input(
                    "the optimizer's state does not fit this run", expected: "\(name) of shape \(tensor.shape)",
                    advice: "start under another experiment_id, or put back the configuration it was saved with")
            }
            try tensor.assign(value)
        }
        self.updates = updates
    }
}
