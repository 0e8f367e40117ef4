import Torch
import Weights

/// What the frozen networks around a stage make of an image.
struct ImageEncoding {
    /// The stage's own space, [1, c, h, w], float32.
    let latents: Tensor
    /// CLIP's embedding of the whole image, [1, 1, c_clip_img], float32; nil where it was not asked for.
    var embedding: Tensor?

    var byteCount: Int { latents.byteCount + (embedding?.byteCount ?? 0) }

    init(latents: Tensor, embedding: Tensor? = nil) {
        self.latents = latents
        self.embedding = embedding
    }

    /// Reads what ``bytes()`` made; nil where it is something else.
    init?(_ bytes: [UInt8]) throws {
        guard let file = try? SafetensorsFile(bytes: bytes, path: "cached encoding"),
            let latents = try file.tensor("latents"), latents.shape.count == 4, latents.size(0) == 1
        else { return nil }
        self.init(latents: latents, embedding: try file.tensor("embedding"))
    }

    /// The tensors as safetensors.
    func bytes() throws -> [UInt8] {
        try SafetensorsWriter.bytes([("latents", latents)] + (embedding.map { [("embedding", $0)] } ?? []))
    }
}
