import COpenCV
import Failures
import Glibc
import Torch

/// Draws people as ControlNet's annotator (version 1.1) draws them: on black, limbs as filled ellipses at six tenths of
/// their colour, then the key points as discs, one person after the other.
struct PoseDrawing: Sendable {
    /// Half the width of a limb and the radius of a key point, in pixels.
    let stickWidth: Int
    let radius: Int

    /// - Returns: [1, 3, height, width], RGB in 0...1.
    func drawn(_ people: [Pose], height: Int, width: Int) throws -> Tensor {
        let canvas = try Tensor.zeros([height, width, 3], dtype: .uint8)
        try canvas.withMutableBytes { bytes in
            guard let rgb = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
            for person in people { try draw(person, on: rgb, height, width) }
        }
        return try canvas.permuted([2, 0, 1]).unsqueezed(0).to(dtype: .float32).contiguous() / 255
    }

    private func draw(_ person: Pose, on rgb: UnsafeMutablePointer<UInt8>, _ height: Int, _ width: Int) throws {
        let points = person.map { point in
            point.map { (x: Double($0.x) * Double(width), y: Double($0.y) * Double(height)) }
        }
        for (limb, color) in zip(Limb.drawn, Self.rainbow) {
            guard let start = points[limb.start.rawValue], let end = points[limb.end.rawValue] else { continue }
            let (dx, dy) = (start.x - end.x, start.y - end.y)
            // Every fraction is cut off, as Python's `int` does.
            let ellipse = CascadeCVEllipse(
                x: Int32((start.x + end.x) / 2), y: Int32((start.y + end.y) / 2),
                half_length: Int32((dx * dx + dy * dy).squareRoot() / 2), half_width: Int32(stickWidth),
                angle: Int32(atan2(dy, dx) * 180 / .pi))
            try check { cascade_fill_ellipse(rgb, height, width, ellipse, color.dimmed, $0, $1) }
        }
        for case (let point?, let color) in zip(points, Self.rainbow) {
            try check {
                cascade_fill_circle(rgb, height, width, Int32(point.x), Int32(point.y), Int32(radius), color, $0, $1)
            }
        }
    }

    private func check(_ call: (UnsafeMutablePointer<CChar>, Int) -> CascadeCVStatus) throws {
        let (status, message) = withErrorMessage(call)
        guard status == CASCADE_CV_OK else { throw Failure.input("the people can't be drawn: \(message)") }
    }

    /// A colour for each key point, and for the limb of the same number.
    private static let rainbow: [CascadeCVColor] = [
        (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
        (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
        (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
    ].map { CascadeCVColor(red: $0.0, green: $0.1, blue: $0.2) }
}

extension CascadeCVColor {
    /// Six tenths of it.
    fileprivate var dimmed: CascadeCVColor {
        CascadeCVColor(red: red / 5 * 3, green: green / 5 * 3, blue: blue / 5 * 3)
    }
}
