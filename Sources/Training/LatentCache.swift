import Cascade
import Torch

/// Latents of pictures that come again in every epoch, up to a number of bytes.
///
/// Each picture is encoded by itself, so that its latents do not depend on the batch it first came in: a resumed run
/// then has the very numbers that the uninterrupted one had.
final class LatentCache {
    private var latents: [String: Tensor] = [:]
    private var room: Int

    init(limit: Int) { room = limit }

    /// Latents [B, c, h, w] of pictures [B, 3, H, W].
    func latents(_ pictures: Tensor, keys: [String], encode: (Tensor) throws -> Tensor) throws -> Tensor {
        try .concatenated(
            keys.enumerated().map { index, key in
                if let known = latents[key] { return known }
                let made = try encode(pictures.sliced(0, index..<index + 1))
                if made.byteCount <= room {
                    room -= made.byteCount
                    latents[key] = made
                }
                return made
            }, dimension: 0)
    }
}
