import Cascade
import Torch

/// How often the caption nearest to an image is right, of all that could be said.
struct NearestCaption {
    private let image: ImageEncoder
    /// What each caption says.
    private let answers: [ImageLabel]
    /// [captions, c], one long each.
    private let captions: Tensor

    /// - Parameter answers: every subject on every background, each with one caption.
    init(text: TextEncoder, image: ImageEncoder, answers: [ImageLabel]) throws {
        self.image = image
        self.answers = answers
        let pooled = try stride(from: 0, to: answers.count, by: 128).map { start in
            let captions = answers[start..<min(start + 128, answers.count)].map(\.caption)
            return try withoutGradients { try text(captions).pooled.selected(1, 0) }
        }
        captions = try Tensor.concatenated(pooled, dimension: 0).unitRows()
    }

    /// Shares of images whose nearest caption has the right subject, and the right background.
    func shares(of images: ImageSet) throws -> (subject: Double, background: Double) {
        var (subjects, backgrounds) = (0, 0)
        for start in stride(from: 0, to: images.count, by: 256) {
            let places = start..<min(start + 256, images.count)
            let nearest = try withoutGradients {
                try image(images.images(places)).selected(1, 0).unitRows().matmul(captions.transposed(0, 1)).argmax(1)
                    .values(as: Int.self)
            }
            for (place, answer) in zip(places, nearest) {
                if answers[answer].subject == images.labels[place].subject { subjects += 1 }
                if answers[answer].background == images.labels[place].background { backgrounds += 1 }
            }
        }
        return (Double(subjects) / Double(images.count), Double(backgrounds) / Double(images.count))
    }
}
