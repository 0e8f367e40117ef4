import COpenCV
import Images
import Inference

/// An image in the upper left of a black square, as large as fits, as detectors of one input size take it.
struct FittedImage {
    /// [1, 3, side, side], RGB, each byte less `mean` and then times `factor`.
    let blob: Blob
    /// How many pixels of the square a pixel of the image's height is.
    let scale: Double
    /// What the image covers of the square.
    let width: Int
    let height: Int

    init(_ image: Image, side: Int, mean: Float = 0, factor: Float = 1) throws {
        let isTall = image.height > image.width
        // Cut to whole pixels, as insightface's sizes are.
        height = isTall ? side : max(1, side * image.height / image.width)
        width = isTall ? max(1, side * image.width / image.height) : side
        scale = Double(height) / Double(image.height)
        let whole = PixelWindow(x: 0, y: 0, width: image.width, height: image.height)
        let values = try image.blob(
            whole, CASCADE_CV_LINEAR,
            CascadeCVBlob(height: height, width: width, order: CASCADE_CV_PLANES, mean: mean, factor: factor))
        var square = [Float](repeating: -mean * factor, count: 3 * side * side)
        for plane in 0..<3 {
            for line in 0..<height {
                let (from, to) = ((plane * height + line) * width, (plane * side + line) * side)
                square.replaceSubrange(to..<to + width, with: values[from..<from + width])
            }
        }
        blob = Blob(shape: [1, 3, side, side], values: square)
    }
}
