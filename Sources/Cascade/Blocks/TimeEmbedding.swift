import Glibc
import Torch

/// Sines and cosines of a time in 0...1 at geometrically falling frequencies, always in float32.
struct TimeEmbedding {
    let width: Int
    private static let positions = 10000.0

    /// [B] to [B, width]: sines, then cosines, then a zero where the width is odd.
    func callAsFunction(_ time: Tensor) throws -> Tensor {
        let half = width / 2
        let step = Glibc.log(Self.positions) / Double(half - 1)
        let frequencies = try (Tensor.counting(half, device: time.device) * -step).exp()  // [half]
        let angles = try (time.to(dtype: .float32) * Self.positions).unsqueezed(1) * frequencies.unsqueezed(0)
        let embedding = try Tensor.concatenated([angles.sin(), angles.cos()], dimension: 1)  // [B, 2 * half]
        return width % 2 == 0 ? embedding : try embedding.padded([0, 1])
    }
}
