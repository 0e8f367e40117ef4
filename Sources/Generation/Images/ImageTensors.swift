import Images
import Torch

/// Images as tensors, and back.
public enum ImageTensors {
    /// Images of one size as [B, 3, H, W] in 0...1.
    public static func tensor(_ images: [Image]) throws -> Tensor {
        let (height, width) = (images.first?.height ?? 0, images.first?.width ?? 0)
        return try Tensor(Image.planes(of: images), shape: [images.count, 3, height, width])
    }

    /// [B, 3, H, W] in 0...1, or outside of it and then limited, as images of its size.
    public static func images(_ tensor: Tensor) throws -> [Image] {
        let (height, width) = (tensor.size(2), tensor.size(3))
        let planes = try tensor.detached().to(dtype: .float32).to(device: .cpu)
        return try (0..<planes.size(0)).map { index in
            PlanarImage(width: width, height: height, values: try planes.selected(0, index).values()).image()
        }
    }

    /// [B, 3, h, w], likewise, as images of another size.
    public static func images(_ tensor: Tensor, height: Int, width: Int) throws -> [Image] {
        try images(
            tensor.detached().to(dtype: .float32).to(device: .cpu)
                .resized(height: height, width: width, alignCorners: false))
    }
}
