import Images
import Torch

/// What makes latents visible: Stage A those of Stage B, the previewer in a quick way those of Stage C.
public struct LatentDecoder {
    /// Latents [B, c, h, w] to images [B, 3, H, W] of any size, about 0...1.
    private let decode: (Tensor) throws -> Tensor

    /// - Parameter decode: latents [1, c, h, w] to images [1, 3, H, W] of any size, about 0...1.
    public init(_ decode: @escaping (Tensor) throws -> Tensor) { self.decode = decode }

    /// The images of latents [B, c, h, w], in a size.
    public func images(_ latents: Tensor, height: Int, width: Int) throws -> [Image] {
        // One by one: Stage A takes more memory for an image than an update does.
        try (0..<latents.size(0)).flatMap { index in
            try ImageTensors.images(decode(latents.sliced(0, index..<index + 1)), height: height, width: width)
        }
    }
}
