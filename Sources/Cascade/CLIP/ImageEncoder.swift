import Torch

/// An image encoder with its preprocessing: images in, the image condition of Stage C out.
public final class ImageEncoder {
    /// The network behind the preprocessing.
    public let tower: CLIPVisionTower
    private let preprocessing: CLIPPreprocessing

    /// - Parameter isAntialiased: whether images are averaged over what is left out where they are made smaller.
    public init(tower: CLIPVisionTower, isAntialiased: Bool = false) {
        self.tower = tower
        preprocessing = CLIPPreprocessing(side: tower.configuration.imageSize, isAntialiased: isAntialiased)
    }

    /// - Parameter images: [B, 3, H, W] in 0...1, on the tower's device.
    /// - Returns: [B, 1, projection].
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        try tower(preprocessing(images)).unsqueezed(1)
    }
}
