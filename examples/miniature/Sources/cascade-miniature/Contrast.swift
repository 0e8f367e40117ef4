import Torch

/// The symmetric contrastive loss of a batch of images and their captions (Radford et al. 2021), with more than one
/// answer: every image of a caption fits all its places in the batch.
struct Contrast {
    /// What each image should answer with, [B, B]: rows that sum to one.
    private let wanted: Tensor
    /// Where an answer is neither right nor wrong: a caption without background fits all images of its subject, [B, B].
    private let undecided: Tensor

    init(_ labels: [ImageLabel]) throws {
        let count = labels.count
        var wanted = [Float](repeating: 0, count: count * count)
        var undecided = [UInt8](repeating: 0, count: count * count)
        for (row, image) in labels.enumerated() {
            for (column, other) in labels.enumerated() where image.subject == other.subject {
                let place = row * count + column
                if image.caption == other.caption {
                    wanted[place] = 1
                } else if !image.namesBackground || !other.namesBackground {
                    undecided[place] = 1
                }
            }
        }
        let right = try Tensor(wanted, shape: [count, count])
        self.wanted = try right / right.sum([1], keepingDimensions: true)
        self.undecided = try Tensor(undecided, shape: [count, count]).to(dtype: .bool)
    }

    /// - Parameters:
    ///   - images: embeddings, [B, c].
    ///   - captions: embeddings, [B, c].
    ///   - logScale: the logarithm of what similarities are multiplied by, [1].
    func loss(_ images: Tensor, _ captions: Tensor, logScale: Tensor) throws -> Tensor {
        let similarities = try images.unitRows().matmul(captions.unitRows().transposed(0, 1))  // [B, B]
        let scores = try (similarities * logScale.exp()).filled(where: undecided, with: -1e4)
        func mean(_ scores: Tensor) throws -> Tensor {
            try (scores.logSoftmax(1) * wanted).sum() * (-1 / Double(wanted.size(0)))
        }
        return try (mean(scores) + mean(scores.transposed(0, 1))) / 2
    }
}

extension ImageLabel {
    /// Whether the caption says on what background the subject is.
    var namesBackground: Bool { caption.contains(" \(background) ") }
}

extension Tensor {
    /// The rows of [n, c] made one long.
    func unitRows() throws -> Tensor { try self / norm([1], keepingDimensions: true).clamped(min: 1e-8) }
}
