import COpenCV
import Failures
import Images
import Inference

/// One of MTCNN's networks: it sees windows of an image, laid column by column and in (value - 127.5) / 128, and says
/// a few numbers of each in every output.
struct WindowNetwork: Sendable {
    /// An output by its name in the file, with how many numbers it has for a window.
    typealias Output = (name: String, width: Int)

    /// A box and what each output says of it.
    typealias Seen = (box: Box, rows: [ArraySlice<Float>])

    /// How many windows are shown at once: enough for speed, and the same memory for every crowd.
    private static let batch = 64

    private let network: any InferenceNetwork
    private let path: String
    private let outputs: [Output]

    init(_ path: String, outputs: [Output]) throws {
        network = try OpenCVNetwork(path, .onnx)
        self.path = path
        self.outputs = outputs
    }

    /// What is said of every window of the network's own size in an image.
    /// - Returns: for each output [1, columns, rows, width].
    func everywhere(in image: Image, width: Int, height: Int) throws -> [Blob] {
        let whole = PixelWindow(x: 0, y: 0, width: image.width, height: image.height)
        let made = try run(Self.blob(image, whole, width: width, height: height), shape: [1, width, height, 3])
        guard made.allSatisfy({ $0.shape.count == 4 && $0.shape[1...2] == made[0].shape[1...2] }) else {
            throw refusal(got: made.map(\.shape))
        }
        return made
    }

    /// What is said of squares of an image. Those that cannot be cut out are left out.
    /// - Parameter side: of the windows that the network sees.
    func seen(_ boxes: [Box], in image: Image, side: Int) throws -> [Seen] {
        let squares = boxes.compactMap { box in PixelWindow(countedFromOne: box).map { (box, $0) } }
        return try stride(from: 0, to: squares.count, by: Self.batch).flatMap { start -> [Seen] in
            let part = squares[start..<min(start + Self.batch, squares.count)]
            let values = try part.flatMap { try Self.blob(image, $0.1, width: side, height: side) }
            let made = try run(values, shape: [part.count, side, side, 3])
            guard zip(made, outputs).allSatisfy({ $0.values.count == part.count * $1.width }) else {
                throw refusal(got: made.map(\.shape))
            }
            return part.enumerated().map { index, square in
                let rows = zip(made, outputs).map { $0.values[index * $1.width..<(index + 1) * $1.width] }
                return (square.0, rows)
            }
        }
    }

    private func run(_ values: [Float], shape: [Int]) throws -> [Blob] {
        let made = try network(Blob(shape: shape, values: values), outputs: outputs.map(\.name))
        guard zip(made, outputs).allSatisfy({ $0.shape.last == $1.width }) else {
            throw refusal(got: made.map(\.shape))
        }
        return made
    }

    private func refusal(got shapes: [[Int]]) -> Failure {
        .input(
            "the network is none of MTCNN's", at: .init(path),
            expected: outputs.map { "\($0.width) numbers in `\($0.name)`" }.joined(separator: ", "), got: "\(shapes)")
    }

    private static func blob(_ image: Image, _ window: PixelWindow, width: Int, height: Int) throws -> [Float] {
        try image.blob(
            window, CASCADE_CV_AREA,
            CascadeCVBlob(height: height, width: width, order: CASCADE_CV_COLUMNS, mean: 127.5, factor: 1 / 128))
    }
}
