import AdapterKit
import COpenCV
import Failures
import Torch

/// What tells what matters in an image.
enum Saliency: Sendable {
    /// The reference's network, from the user's file.
    case network(FilterModel<SaliencyNetwork>)
    /// OpenCV's fine-grained saliency (Montabone and Soto 2010), which needs no model.
    case fineGrained

    /// The short side of the image that is looked at.
    static let shortSide = 240
    /// A long side beyond this is squeezed, or an image of one row would grow without end.
    static let longestSide = 16 * shortSide

    /// How much each place of an image matters, in 0...1.
    /// - Parameter image: [1, 3, H, W], RGB in 0...1.
    /// - Returns: [1, 1, h, w], an eighth of the size looked at.
    func callAsFunction(_ image: Tensor) throws -> Tensor {
        let (height, width) = Self.size(height: image.size(2), width: image.size(3))
        let small = try image.resized(height: height, width: width, alignCorners: false, antialias: true)
        switch self {
        case .network(let model): return try model.network()(small)
        case .fineGrained:
            let map = try fineGrained(small.clamped(min: 0, max: 1))
            return try map.resized(height: height / 8, width: width / 8, alignCorners: false, antialias: true)
        }
    }

    /// The size looked at: as torchvision's `resize` to a short side cuts the long one to a whole number.
    static func size(height: Int, width: Int) -> (height: Int, width: Int) {
        let long = min(longestSide, Int(Double(shortSide) * Double(max(height, width)) / Double(min(height, width))))
        return height < width ? (shortSide, long) : (long, shortSide)
    }

    /// [1, 3, H, W] to [1, 1, H, W].
    private func fineGrained(_ image: Tensor) throws -> Tensor {
        let (height, width) = (image.size(2), image.size(3))
        let rgb = try image.selected(0, 0).interleavedBytes()
        var map = [Float](repeating: 0, count: height * width)
        let (status, message) = withErrorMessage { error, size in
            cascade_fine_grained_saliency(rgb, height, width, &map, error, size)
        }
        guard status == CASCADE_CV_OK else { throw Failure.input("no saliency could be found: \(message)") }
        return try Tensor(map, shape: [1, 1, height, width])
    }
}
