import COpenCV
import Failures
import Torch

/// Dilation of grey images by a disc, as the reference's filters make it.
enum Dilation {
    /// Sides that a disc can have: below 3 no element lies near enough to the centre.
    static let sides = 3...31

    /// The largest element under the disc around each; beyond the border there is nothing.
    /// - Parameter image: [1, 1, H, W].
    static func dilated(_ image: Tensor, side: Int) throws -> Tensor {
        let values = try image.contiguous().values(as: Float.self)
        var made = [Float](repeating: 0, count: values.count)
        let (status, message) = withErrorMessage { message, size in
            cascade_morph(
                values, image.size(2), image.size(3), side, CASCADE_CV_DILATION, &made, message, size)
        }
        guard status == CASCADE_CV_OK else { throw Failure.input("edges can't be widened: \(message)") }
        return try Tensor(made, shape: image.shape)
    }
}
