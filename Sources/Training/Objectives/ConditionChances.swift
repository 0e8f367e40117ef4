import Settings
import Torch

/// How often training leaves out what the network is conditioned on, so that it can be guided later and does without.
///
/// The defaults are the reference's, which has them in its code: `core/__init__.py`, `train/train_b.py`.
public struct ConditionChances: Sendable {
    /// That a caption is replaced by the empty one.
    public let captionDropout: Double
    /// That Stage C sees zeros instead of the image's own embedding.
    public let imageDropout: Double
    /// That Stage B sees zeros instead of the image's EffNet latents.
    public let effnetDropout: Double
    /// Stage B's images are made smaller for the EffNet encoder by a factor between these.
    public let effnetScale: ClosedRange<Double>

    init(_ fields: inout Fields, _ stage: TrainedStage) throws {
        captionDropout = try fields.value("caption_dropout", default: 0.05, .within(0...1))
        imageDropout = stage == .c ? try fields.value("picture_dropout", default: 0.9, .within(0...1)) : 1
        guard stage == .b else {
            (effnetDropout, effnetScale) = (0, 1...1)
            return
        }
        effnetDropout = try fields.value("effnet_dropout", default: 0.1, .within(0...1))
        let ends: [Double] = try fields.value("effnet_scale", default: [0.5, 1], Self.isScale)
        effnetScale = ends[0]...ends[1]
    }

    private static var isScale: Requirement<[Double]> {
        Requirement("of two numbers from 0.05 to 1, the smaller first") { ends in
            guard ends.count == 2 else { return false }
            return 0.05 <= ends[0] && ends[0] <= ends[1] && ends[1] <= 1
        }
    }

    /// Replaces captions by the empty one at random.
    func dropping(_ captions: [String], _ draws: Draws) throws -> [String] {
        zip(captions, try Self.kept(.caption, dropout: captionDropout, draws)).map { $1 ? $0 : "" }
    }

    /// Which of some samples keep something, at random.
    static func kept(_ purpose: Draws.Purpose, dropout: Double, _ draws: Draws) throws -> [Bool] {
        try draws.uniform(purpose).values(as: Double.self).map { $0 >= dropout }
    }
}
