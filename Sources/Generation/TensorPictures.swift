import Images
import Torch

/// Pictures as tensors, and back.
public enum TensorPictures {
    /// Pictures of one size as [B, 3, H, W] in 0...1.
    public static func tensor(_ pictures: [Picture]) throws -> Tensor {
        let (height, width) = (pictures.first?.height ?? 0, pictures.first?.width ?? 0)
        return try Tensor(Picture.planes(of: pictures), shape: [pictures.count, 3, height, width])
    }

    /// [B, 3, H, W] in 0...1, or outside of it and then limited, as pictures of a size.
    public static func pictures(_ tensor: Tensor, height: Int, width: Int) throws -> [Picture] {
        let fitting = try tensor.detached().to(dtype: .float32).to(device: .cpu)
            .resized(height: height, width: width, alignCorners: false).clamped(min: 0, max: 1)
        return try (0..<fitting.size(0)).map { index in
            PlanarPicture(width: width, height: height, values: try fitting.selected(0, index).values()).picture()
        }
    }
}
