import Layers
import Torch

/// Beside a frozen product with a matrix, one with two thin ones: `strength · scale · up · (down · x)`.
///
/// Computed on the activations; the full matrix `up · down` is never built while training.
final class LoRALayer: ProjectionAddition {
    /// [rank, in], float32.
    let down: Tensor
    /// [out, rank], float32.
    let up: Tensor
    /// alpha / rank.
    private let scale: Double
    /// Multiplies what the layer adds.
    var strength = 1.0

    init(down: Tensor, up: Tensor, scale: Double) {
        self.down = down
        self.up = up
        self.scale = scale
    }

    func callAsFunction(_ input: Tensor) throws -> Tensor {
        let dtype = input.dtype
        let narrow = try input.linear(down.to(dtype: dtype)) * (scale * strength)  // [..., rank]
        return try narrow.linear(up.to(dtype: dtype))  // [..., out]
    }

    /// `strength · scale · up · down`, [out, in], float32.
    func product() throws -> Tensor { try withoutGradients { try up.matmul(down) * (scale * strength) } }
}
