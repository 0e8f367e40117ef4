/// Clipping by the norm over the gradients of all groups, as torch.nn.utils.clip_grad_norm_ does it.
public struct GradientClipping {
    /// The largest Euclidean norm that all gradients together may have.
    public var limit: Double

    /// - Parameter limit: above 0.
    public init(limit: Double) { self.limit = limit }

    /// The norm of all gradients together, and what a step has to multiply them by so that it is at most the limit.
    public func callAsFunction(_ groups: [ParameterGroup]) throws -> (norm: Double, scale: Double) {
        let norm = try groups.gradientNorm()
        return (norm, scale(of: norm))
    }

    /// What gradients of a norm are multiplied by.
    public func scale(of norm: Double) -> Double { min(1, limit / (norm + 1e-6)) }
}
