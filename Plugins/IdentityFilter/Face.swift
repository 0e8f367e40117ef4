import Images

/// A face in an image, in pixels from the image's upper left corner.
struct Face: Sendable, Equatable {
    var box: Box
    /// The eyes, the tip of the nose and the corners of the mouth; of two, the one further left in the image first.
    var landmarks: [Point]
    /// How sure the detector is, in 0...1.
    var score: Double

    /// False where a network made no numbers of it.
    var isFinite: Bool {
        let places = [box.left, box.top, box.right, box.bottom] + landmarks.flatMap { [$0.x, $0.y] }
        return places.allSatisfy(\.isFinite)
    }
}

struct Point: Sendable, Equatable {
    var x: Double
    var y: Double
}

/// Finds the faces in an image.
protocol FaceDetector: Sendable {
    /// Every face, in no particular order.
    func faces(in image: Image) throws -> [Face]
}

/// Tells faces apart by 512 numbers that are alike for one person.
protocol FaceRecognizer: Sendable {
    /// 512 numbers, as a vector of length 1.
    func embedding(of face: Face, in image: Image) throws -> [Float]
}

/// How many numbers stand for a face.
let embeddingSize = 512

/// An embedding as a vector of length 1; one without a direction stays as it is.
func normalised(_ embedding: [Float]) -> [Float] {
    let length = embedding.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return length > 0 ? embedding.map { $0 / length } : embedding
}
