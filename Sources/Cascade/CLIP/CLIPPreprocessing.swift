import Torch

/// Images as CLIP's image encoder wants them: the reference's `clip_preprocess`, torchvision's resize, centre crop and
/// normalisation.
public struct CLIPPreprocessing: Sendable {
    /// Side of what comes out.
    public var side = 224

    /// Whether images are averaged over what is left out where they are made smaller. The torchvision that the reference
    /// pins, 0.16, does not do so with tensors.
    public var isAntialiased = false

    /// The published image encoder's side, and the reference's resize, unless the arguments say otherwise.
    public init(side: Int = 224, isAntialiased: Bool = false) {
        self.side = side
        self.isAntialiased = isAntialiased
    }

    /// Resizes the shorter side bicubically, crops the middle and normalises.
    /// - Parameter images: [B, 3, H, W] in 0...1.
    /// - Returns: [B, 3, side, side] by CLIP's mean and deviation, in the images' dtype.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        try images.checkShape("images", [nil, 3, nil, nil])
        let (height, width) = Self.size(images.size(2), images.size(3), shorter: side)
        let isSame = height == images.size(2) && width == images.size(3)
        let resized =
            try isSame ? images : images.resizedBicubic(height: height, width: width, antialias: isAntialiased)
        let (top, left) = (Self.margin(height, side), Self.margin(width, side))
        let cropped = try resized.sliced(2, top..<top + side).sliced(3, left..<left + side)
        func constant(_ values: [Float]) throws -> Tensor {
            try Tensor(values, shape: [1, 3, 1, 1]).to(device: images.device).to(dtype: images.dtype)
        }
        return try (cropped - constant([0.48145466, 0.4578275, 0.40821073]))
            / constant([0.26862954, 0.26130258, 0.27577711])
    }

    /// torchvision rounds the longer side down.
    private static func size(_ height: Int, _ width: Int, shorter: Int) -> (Int, Int) {
        height <= width
            ? (shorter, Int(Double(shorter * width) / Double(height)))
            : (Int(Double(shorter * height) / Double(width)), shorter)
    }

    /// torchvision rounds half a pixel to the even number.
    private static func margin(_ size: Int, _ side: Int) -> Int {
        Int((Double(size - side) / 2).rounded(.toNearestOrEven))
    }
}
