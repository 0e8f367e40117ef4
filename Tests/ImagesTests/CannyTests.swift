import COpenCV
import Failures
import Testing

@Suite struct CannyDoor {
    @Test(arguments: [(100.0, 200.0), (40, 90)])
    func `edges are those of cv2`(low: Double, high: Double) throws {
        let source = try Golden.image("canny-source.ppm")
        var edges = [UInt8](repeating: 7, count: source.width * source.height)
        let (status, message) = withErrorMessage {
            cascade_canny(source.pixels, source.height, source.width, low, high, &edges, $0, $1)
        }
        #expect(status == CASCADE_CV_OK && message.isEmpty)
        let expected = try Golden.samples("canny-\(Int(low))-\(Int(high)).pgm")
        #expect(edges == expected.values)
        #expect(edges.contains(255))
    }

    @Test(arguments: [(0, 5), (5, 0), (32768, 1), (.max, .max)])
    func `sizes that can't be are refused`(height: Int, width: Int) {
        let (status, message) = withErrorMessage { cascade_canny(nil, height, width, 100, 200, nil, $0, $1) }
        #expect(status == CASCADE_CV_BAD_SIZE)
        #expect(!message.isEmpty)
    }

    @Test func `what OpenCV throws comes back as a value`() {
        let pixels = [UInt8](repeating: 0, count: 27)
        var edges = [UInt8](repeating: 0, count: 9)
        // Without a buffer for the edges OpenCV makes its own, which the door must notice.
        let (status, message) = withErrorMessage { cascade_canny(pixels, 3, 3, 100, 200, nil, $0, $1) }
        #expect(status == CASCADE_CV_FAILED)
        #expect(!message.isEmpty)
        #expect(cascade_canny(pixels, 3, 3, 100, 200, &edges, nil, 0) == CASCADE_CV_OK)
    }
}
