import Layers
import Torch

/// Replaces each latent vector by the nearest of a codebook.
public final class VectorQuantizer {
    /// Key `codebook.weight`, [k, c].
    public let codebook: Tensor

    init(size: Int, channels: Int, _ scope: Scope) throws {
        codebook = try scope("codebook").parameter("weight", [size, channels], .uniform(1 / Double(size)))
    }

    /// The index of the nearest entry for each vector: [B, c, h, w] to int64 [B, h, w]. Of several that are equally
    /// near it is the first.
    public func indices(_ latents: Tensor) throws -> Tensor {
        try latents.checkShape("latents", [nil, codebook.size(1), nil, nil])
        let entries = try codebook.to(dtype: .float32)
        let squares = try entries.squared().sum([1])  // [k]
        let vectors = try latents.to(dtype: .float32).channelsLast().reshaped([-1, entries.size(1)])  // [n, c]
        let rows = max(1, Self.distancesAtOnce / entries.size(0))
        let nearest = try stride(from: 0, to: vectors.size(0), by: rows).map { start in
            let some = try vectors.sliced(0, start..<min(start + rows, vectors.size(0)))
            // |z - e|² without |z|², which is the same for every entry, and the other way round for argmax.
            return try (some.matmul(entries.transposed(0, 1)) * 2 - squares).argmax(-1)
        }
        return try Tensor.concatenated(nearest, dimension: 0)
            .reshaped([latents.size(0), latents.size(2), latents.size(3)])
    }

    /// Bounds what a large image's distances take of the memory.
    private static let distancesAtOnce = 1 << 24

    /// The entries at indices: int64 [B, h, w] to [B, c, h, w].
    public func entries(at indices: Tensor) throws -> Tensor { try codebook.embedded(indices).channelsFirst() }

    /// The nearest entries: [B, c, h, w] to the same.
    public func callAsFunction(_ latents: Tensor) throws -> Tensor { try entries(at: indices(latents)) }
}
