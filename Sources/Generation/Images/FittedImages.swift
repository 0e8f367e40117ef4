import Cascade
import Images
import Torch

/// Images from outside in the sizes that networks take.
enum FittedImages {
    /// The short side of images that are looked at: with the published encoder 768 pixels, as the reference's
    /// `resize_image` has it, with another what the latents of the image to be made are in pixels.
    static func shortSide(for size: ImageSize, of stageC: StageCConfiguration) -> Int {
        if stageC.encoder.backbone == EfficientNet.Configuration() { return 768 }
        let latents = size.latents(of: stageC)
        return stageC.encoder.stride * min(latents.height, latents.width)
    }

    /// An image with a short side; the long one rounded down, as torchvision has it.
    static func shortened(_ image: Image, to shortSide: Int) -> PlanarImage {
        let (width, height) = (image.width, image.height)
        let short = min(width, height)
        if short == shortSide { return image.planar() }
        func side(_ length: Int) -> Int { length == short ? shortSide : shortSide * length / short }
        return image.planar().resized(width: side(width), height: side(height))
    }

    /// The middle of an image in a shape of sides, as large as it can be.
    static func cut(_ image: Image, toShape size: ImageSize) -> Image {
        let (width, height) = (image.width, image.height)
        let (wide, high) = (width * size.height, height * size.width)
        if wide == high { return image }
        return wide > high
            ? image.centreCropped(width: max(1, high / size.height), height: height)
            : image.centreCropped(width: width, height: max(1, wide / size.width))
    }

    /// An image in a size, its middle cut to the shape first; [1, 3, height, width] in 0...1.
    static func tensor(_ image: Image, height: Int, width: Int) throws -> Tensor {
        let cut = cut(image, toShape: ImageSize(width: width, height: height))
        let isSized = cut.width == width && cut.height == height
        return try tensor(isSized ? cut.planar() : cut.planar().resized(width: width, height: height))
    }

    /// [1, 3, H, W].
    static func tensor(_ image: PlanarImage) throws -> Tensor {
        try Tensor(image.values, shape: [1, 3, image.height, image.width])
    }
}

extension Mask {
    /// White where the mask is.
    var image: Image { Image(width: width, height: height, pixels: values.flatMap { [$0, $0, $0] }) }
}
