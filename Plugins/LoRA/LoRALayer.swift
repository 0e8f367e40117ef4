import Layers
import Torch

/// Beside a frozen product with a matrix, one with two thin ones: `strength · alpha / rank · up · (down · x)`.
///
/// Computed on the activations; the full matrix `up · down` is built while training only of depthwise kernels, which
/// have few numbers. There it is what peft's LoRA adds to a convolution from one channel, and what kohya's scripts and
/// ComfyUI make of such a file; peft's own LoRA of a grouped convolution is a dense one beside it.
final class LoRALayer: ProjectionAddition {
    /// [rank, in], float32, trainable.
    let down: Tensor
    /// [out, rank], float32, trainable.
    let up: Tensor
    let alpha: Double
    private let kernelSide: Int?
    /// Multiplies what the layer adds.
    var strength = 1.0
    /// What of the input does not reach `down`, as peft has it: zeros at random places, the rest scaled to keep the
    /// mean. Nil outside of training, and for a rate of 0. A block that is run again in one pass has the same zeros.
    var dropout: Dropout?

    /// - Parameter kernelSide: of depthwise kernels.
    init(down: Tensor, up: Tensor, alpha: Double, kernelSide: Int?) throws {
        self.down = down
        self.up = up
        self.alpha = alpha
        self.kernelSide = kernelSide
        try down.setRequiresGrad(true)
        try up.setRequiresGrad(true)
    }

    var rank: Int { down.size(0) }
    private var factor: Double { alpha / Double(rank) * strength }

    func callAsFunction(_ input: Tensor, part: Int) throws -> Tensor {
        let dtype = input.dtype
        let heard = try dropout.map { try $0(input, part: part) } ?? input  // [..., in]
        if let kernelSide {
            return try heard.convolved(withRowsOf: up.matmul(down) * factor, side: kernelSide)
        }
        let narrow = try heard.linear(down.to(dtype: dtype)) * factor  // [..., rank]
        return try narrow.linear(up.to(dtype: dtype))  // [..., out]
    }

    /// `strength · alpha / rank · up · down`, [out, in], float32.
    func product() throws -> Tensor { try withoutGradients { try up.matmul(down) * factor } }
}
