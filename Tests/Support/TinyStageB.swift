import Cascade
import Foundation
import Layers
import Torch
import Weights

/// What Stage B needs beside the tiny world: an architecture of two levels, a drawn Stage A and a drawn start.
public final class TinyStageB: Sendable {
    /// Made once in a process, on first use, and removed when the process ends.
    public static func shared() throws -> TinyStageB { try made.get() }

    private static let made: Result<TinyStageB, any Error> = Result {
        let stageB = try TinyStageB()
        atexit { if case .success(let stageB) = TinyStageB.made { stageB.folder.remove() } }
        return stageB
    }

    /// Holds all files.
    public let folder: Scratch
    /// As `model_version` names it.
    public var architecture: String { folder["stage_b.yaml"] }
    /// The autoencoder of images.
    public var stageA: String { folder["stage_a.safetensors"] }
    /// Stage B.
    public var base: String { folder["stage_b.safetensors"] }

    /// Two levels of widths 8 and 16; the text's width is the tiny world's.
    public static let configuration: StageBConfiguration = {
        var c = StageBConfiguration()
        (c.timeWidth, c.conditionWidth) = (16, 16)
        c.hidden = [8, 16]
        c.heads = [-1, 2]
        c.blocks = [[1, 2], [2, 1]]
        c.blockRepeat = [[1, 1], [2, 1]]
        c.levelConfiguration = ["CT", "CTA"]
        (c.clipWidth, c.clipSequence, c.selfAttention, c.dropout) = (16, 2, [true, true], [0.1, 0.1])
        return c
    }()

    private static let architectureText = """
        {c_r: 16, c_cond: 16, c_hidden: [8, 16], nhead: [-1, 2], blocks: [[1, 2], [2, 1]],
         block_repeat: [[1, 1], [2, 1]], level_config: [CT, CTA], c_clip: 16, c_clip_seq: 2}
        """

    private init() throws {
        folder = try Scratch()
        try folder.write(Self.architectureText, to: "stage_b.yaml")
        let generator = try Generator(seed: 8)
        var stageA = StageAConfiguration()
        (stageA.hidden, stageA.bottleneckBlocks, stageA.codebookSize) = (16, 1, 16)
        let first = ParameterStore(from: DrawnParameters(generator))
        _ = try StageA(stageA, first.root)
        try SafetensorsWriter.write(first.tensors, to: self.stageA)
        let second = ParameterStore(from: DrawnParameters(generator))
        _ = try StageB(Self.configuration, second.root)
        // A trained stage has no zeros in its last layer.
        if let last = second["clf.1.weight"] { try last.assign(generator.normal(last.shape) * 0.2) }
        try SafetensorsWriter.write(second.tensors, to: base)
    }

    /// The changes that make a configuration of the tiny world one of Stage B.
    public var keys: [String: String] {
        [
            "model_version": architecture, "stage_a_checkpoint_path": stageA, "generator_checkpoint_path": base,
            "previewer_checkpoint_path": "", "clip_image_model_name": "",
        ]
    }
}
