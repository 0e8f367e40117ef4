import COpenCV
import Failures
import Torch

/// Dilation of grey pictures by a disc, as the reference's filters make it.
enum Dilation {
    /// Sides that a disc can have: below 3 no element lies near enough to the centre.
    static let sides = 3...31

    /// The largest element under the disc around each; beyond the border there is nothing.
    /// - Parameter picture: [1, 1, H, W].
    static func dilated(_ picture: Tensor, side: Int) throws -> Tensor {
        let values = try picture.contiguous().values(as: Float.self)
        var made = [Float](repeating: 0, count: values.count)
        let (status, message) = withErrorMessage { message, size in
            cascade_morph(
                values, picture.size(2), picture.size(3), side, CASCADE_CV_DILATION, &made, message, size)
        }
        guard status == CASCADE_CV_OK else { throw Failure.input("edges can't be widened: \(message)") }
        return try Tensor(made, shape: picture.shape)
    }
}
