import COpenCV
import Failures
import Torch

/// One channel of an image as plain numbers.
struct Plane {
    private let height: Int
    private let width: Int
    private var values: [Float]

    /// - Parameter channel: [1, H, W].
    init(_ channel: Tensor) throws {
        height = channel.size(1)
        width = channel.size(2)
        values = try channel.contiguous().values()
    }

    /// [1, H, W].
    func tensor() throws -> Tensor { try Tensor(values, shape: [1, height, width]) }

    /// Dilates and then erodes by a round element, so that dark gaps narrower than it fill up.
    ///
    /// Below 3 the element has no points and nothing changes.
    mutating func close(gapsOf side: Int) throws {
        guard side >= 3 else { return }
        try morph(side, CASCADE_CV_DILATION)
        try morph(side, CASCADE_CV_EROSION)
    }

    private mutating func morph(_ side: Int, _ morphology: CascadeCVMorphology) throws {
        var made = [Float](repeating: 0, count: values.count)
        let (status, message) = withErrorMessage {
            cascade_morph(values, height, width, side, morphology, &made, $0, $1)
        }
        guard status == CASCADE_CV_OK else { throw Failure.input("no blobs could be made: \(message)") }
        values = made
    }

    /// 1 in the brightest third of the range of values, 0 in the darkest, 0.5 between.
    func brightAndDark() -> Plane {
        let (least, most) = values.reduce((Float.infinity, -Float.infinity)) { (min($0.0, $1), max($0.1, $1)) }
        let third = (most - least) * 0.33
        let (low, high) = (least + third, most - third)
        var mask = self
        mask.values = values.map { value in
            (1 - (value < low ? 1 : 0) + (value > high ? 1 : 0)) * 0.5
        }
        return mask
    }
}
