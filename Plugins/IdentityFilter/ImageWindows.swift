import COpenCV
import Failures
import Images

/// A window of an image in whole pixels, which may reach beyond it.
struct PixelWindow: Equatable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    init(x: Int, y: Int, width: Int, height: Int) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    /// A box of whole pixels that are counted from one, both its border pixels included; nil for one that is empty or
    /// that a network put somewhere wild.
    init?(countedFromOne box: Box) {
        guard let x = Int(exactly: box.left - 1), let y = Int(exactly: box.top - 1),
            let width = Int(exactly: box.width + 1), let height = Int(exactly: box.height + 1),
            width > 0, height > 0, [x, y, width, height].allSatisfy({ abs($0) <= Self.furthest })
        else { return nil }
        self.init(x: x, y: y, width: width, height: height)
    }

    /// As far as a window may reach.
    private static let furthest = 32_767
}

extension Image {
    /// A window brought to a size, as numbers that a network takes; black where it lies outside.
    func blob(_ window: PixelWindow, _ resizing: CascadeCVResizing, _ blob: CascadeCVBlob) throws -> [Float] {
        let window = CascadeCVWindow(
            x: Int64(window.x), y: Int64(window.y), width: Int64(window.width), height: Int64(window.height))
        return try filled(blob) { image, made, error, size in
            cascade_window(image, window, resizing, blob, made, error, size)
        }
    }

    /// The image turned, scaled and moved by a matrix of two rows and three columns; black where it does not reach.
    func blob(warpedBy matrix: [Double], _ blob: CascadeCVBlob) throws -> [Float] {
        precondition(matrix.count == 6, "a matrix of two rows and three columns")
        return try filled(blob) { image, made, error, size in
            cascade_warp(image, matrix, blob, made, error, size)
        }
    }

    private func filled(
        _ blob: CascadeCVBlob,
        _ call: (
            CascadeCVImage, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<CChar>, Int
        ) -> CascadeCVStatus
    ) throws -> [Float] {
        let count = blob.height * blob.width * 3
        return try pixels.withUnsafeBufferPointer { pixels in
            try [Float](unsafeUninitializedCapacity: count) { made, initialised in
                let image = CascadeCVImage(rgb: pixels.baseAddress, height: height, width: width)
                let (status, message) = withErrorMessage { call(image, made.baseAddress, $0, $1) }
                guard status == CASCADE_CV_OK else { throw Failure.run("a face could not be cut out", got: message) }
                initialised = count
            }
        }
    }
}
