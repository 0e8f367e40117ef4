/// Work on many tensors at once: one call for all of them, in few passes through memory.
extension Tensor {
    /// The Euclidean norm over all elements of all tensors.
    public static func norm(of tensors: [Tensor]) throws -> Double {
        try Operators.normOfAll(.tensors(tensors)).item()
    }

    /// Multiplies every tensor in place, outside the graph.
    public static func scale(_ tensors: [Tensor], by factor: Double) throws {
        guard !tensors.isEmpty else { return }
        try withoutGradients {
            _ = try Operators.multiplyEachInPlace.call([.tensors(tensors), .double(factor)])
        }
    }

    /// Moves every tensor the fraction `weight` of the way to its end, in place and outside the graph.
    public static func interpolate(_ tensors: [Tensor], to ends: [Tensor], weight: Double) throws {
        guard !tensors.isEmpty else { return }
        try withoutGradients {
            _ = try Operators.lerpEachInPlace.call([.tensors(tensors), .tensors(ends), .double(weight)])
        }
    }
}

/// What a step of AdamW takes beside tensors.
public struct AdamWStep {
    /// Counted from 1; the moments' bias is corrected by it.
    public var number: Int
    /// How far a step moves a parameter at most, about; weight decay is multiplied by it too.
    public var learningRate: Double
    /// What a step leaves of the mean of gradients; the rest is the new gradient.
    public var beta1: Double
    /// What a step leaves of the mean of squared gradients; the rest is the new square.
    public var beta2: Double
    /// A step takes `learningRate * weightDecay` of each parameter away, apart from its gradient.
    public var weightDecay: Double
    /// Added to the root of the corrected second moment, so that small gradients do not divide by zero.
    public var epsilon: Double
    /// What gradients are multiplied by on the way.
    public var gradientScale: Double

    /// - Parameter betas: ``beta1`` and ``beta2``, each at least 0 and below 1.
    public init(
        number: Int, learningRate: Double, betas: (Double, Double), weightDecay: Double, epsilon: Double,
        gradientScale: Double
    ) {
        self.number = number
        self.learningRate = learningRate
        (beta1, beta2) = betas
        self.weightDecay = weightDecay
        self.epsilon = epsilon
        self.gradientScale = gradientScale
    }

    private var arguments: [Operator.Argument] {
        [
            .int(number), .double(learningRate), .double(beta1), .double(beta2), .double(weightDecay),
            .double(epsilon), .double(gradientScale),
        ]
    }

    /// Steps parameters, with moments of their shapes in float32.
    public func callAsFunction(
        _ parameters: [Tensor], gradients: [Tensor], means: [Tensor], squares: [Tensor]
    ) throws {
        try withoutGradients {
            _ = try Operators.adamW.call(
                [.tensors(parameters), .tensors(gradients), .tensors(means), .tensors(squares)] + arguments)
        }
    }

    /// A moment in eight bits an element: codes of the parameters' shapes, and a scale for each 256 elements.
    public typealias Quantised = (codes: [Tensor], scales: [Tensor])

    /// Steps parameters whose moments are quantised.
    /// - Parameters:
    ///   - values: what codes stand for, 256 each: from -1 to 1 for the means, from 0 to 1 for the squares.
    ///   - isFused: whether to use the kernel of this program where there is one for the device.
    public func callAsFunction(
        _ parameters: [Tensor], gradients: [Tensor], means: Quantised, squares: Quantised,
        values: (signed: Tensor, unsigned: Tensor), isFused: Bool = true
    ) throws {
        try withoutGradients {
            _ = try Operators.adamW8bit.call(
                [
                    .tensors(parameters), .tensors(gradients), .tensors(means.codes), .tensors(squares.codes),
                    .tensors(means.scales), .tensors(squares.scales), .tensor(values.signed),
                    .tensor(values.unsigned),
                ] + arguments + [.bool(isFused)])
        }
    }
}
