import Torch

/// Parameters that share a weight decay and a learning rate.
public struct ParameterGroup {
    /// Leaves in float32, or bfloat16 where they are trained in that, by the names under which an optimizer's state is saved.
    public var parameters: [(name: String, tensor: Tensor)]
    /// The fraction of the rate by which each step shrinks the parameters.
    public var weightDecay: Double
    /// What the learning rate of a step is multiplied by for this group.
    public var rateFactor: Double

    /// Parameters that do not decay and take the step's own rate, unless the arguments say otherwise.
    public init(
        _ parameters: [(name: String, tensor: Tensor)], weightDecay: Double = 0, rateFactor: Double = 1
    ) {
        self.parameters = parameters
        self.weightDecay = weightDecay
        self.rateFactor = rateFactor
    }

    /// Weights apart from what does not decay: biases, and the scales and shifts of norms.
    ///
    /// Those have one dimension, or are called `bias`, `gamma` or `beta`, as a global response norm's are.
    public static func decaying(
        _ parameters: [(name: String, tensor: Tensor)], by weightDecay: Double, rateFactor: Double = 1
    ) -> [ParameterGroup] {
        func decays(_ parameter: (name: String, tensor: Tensor)) -> Bool {
            let name = parameter.name.split(separator: ".").last ?? ""
            return parameter.tensor.rank > 1 && !["bias", "gamma", "beta"].contains(name)
        }
        let weights = ParameterGroup(
            parameters.filter(decays), weightDecay: weightDecay, rateFactor: rateFactor)
        let others = ParameterGroup(parameters.filter { !decays($0) }, rateFactor: rateFactor)
        return [weights, others].filter { !$0.parameters.isEmpty }
    }
}

extension [ParameterGroup] {
    /// Every parameter of every group, in order.
    public var parameters: [(name: String, tensor: Tensor)] { flatMap(\.parameters) }

    /// Removes the gradients of all parameters.
    public func clearGradients() throws {
        for (_, tensor) in parameters { try tensor.setGradient(nil) }
    }

    /// The Euclidean norm over the gradients of all groups together.
    public func gradientNorm() throws -> Double {
        try Tensor.norm(of: parameters.compactMap { try $0.tensor.gradient() })
    }
}
