import Failures
import Torch

/// Hands out ControlNet conditions as the residual blocks come by.
struct Injections {
    /// Of each ControlNet, by residual block.
    private let sets: [[Int: Tensor]]
    private var next = 0

    init(_ sets: [[Int: Tensor]]) { self.sets = sets }

    /// Adds the conditions of the next residual block, each resized to `x` [B, H, W, C].
    mutating func applied(to x: Tensor) throws -> Tensor {
        defer { next += 1 }
        return try sets.reduce(x) { x, set in try set[next].map { try added($0, to: x) } ?? x }
    }

    private func added(_ condition: Tensor, to x: Tensor) throws -> Tensor {
        guard condition.rank == 4, condition.size(1) == x.size(3) else {
            throw Failure.input(
                "the condition for residual block \(next) does not fit", expected: "\(x.size(3)) channels",
                got: "shape \(condition.shape)")
        }
        let resized = try condition.resized(height: x.size(1), width: x.size(2), alignCorners: true)
        return try x + resized.channelsLast().to(dtype: x.dtype)
    }
}
