import Failures
import Torch

/// Hands out ControlNet conditions as the residual blocks come by.
struct Injections {
    private let byIndex: [Int: Tensor]
    private var next = 0

    init(_ byIndex: [Int: Tensor]) { self.byIndex = byIndex }

    /// Adds the condition of the next residual block, resized to `x` [B, H, W, C].
    mutating func applied(to x: Tensor) throws -> Tensor {
        defer { next += 1 }
        guard let condition = byIndex[next] else { return x }
        guard condition.rank == 4, condition.size(1) == x.size(3) else {
            throw Failure.input(
                "the condition for residual block \(next) does not fit", expected: "\(x.size(3)) channels",
                got: "shape \(condition.shape)")
        }
        let resized = try condition.resized(height: x.size(1), width: x.size(2), alignCorners: true)
        return try x + resized.channelsLast().to(dtype: x.dtype)
    }
}
