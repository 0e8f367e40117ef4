import Cascade
import Foundation
import Images
import Layers
import Torch
import Weights

/// What the shipped configurations need beside the tiny world: a base with as many residual blocks as Stage C 3.6B has,
/// each of width 8, and images with a caption and a `.json` that tells their size.
public final class TinyDeep: Sendable {
    /// Made once in a process, on first use, and removed when the process ends.
    public static func shared() throws -> TinyDeep { try made.get() }

    private static let made: Result<TinyDeep, any Error> = Result {
        let deep = try TinyDeep()
        atexit { if case .success(let deep) = TinyDeep.made { deep.folder.remove() } }
        return deep
    }

    /// Holds all files.
    public let folder: Scratch
    /// As `model_version` names it.
    public var architecture: String { folder["deep.yaml"] }
    /// Stage C.
    public var base: String { folder["deep.safetensors"] }
    /// A folder of images with captions.
    public var data: String { folder["described"] }

    private init() throws {
        folder = try Scratch()
        var c = StageCConfiguration()
        (c.timeWidth, c.conditionWidth, c.hidden, c.heads) = (16, 16, [8, 8], [1, 1])
        (c.clipTextWidth, c.clipTextPooledWidth, c.clipImageWidth, c.clipSequence) = (16, 16, 8, 1)
        try folder.write(
            """
            {c_r: 16, c_cond: 16, c_hidden: [8, 8], nhead: [1, 1], c_clip_text: 16, c_clip_text_pooled: 16,
             c_clip_img: 8, c_clip_seq: 1}
            """, to: "deep.yaml")
        let generator = try Generator(seed: 9)
        let store = ParameterStore(from: DrawnParameters(generator))
        _ = try StageC(c, store)
        // A trained base has no zeros in its last layer, or an adapter would get no gradient.
        if let last = store["clf.1.weight"] { try last.assign(generator.normal(last.shape) * 0.2) }
        try SafetensorsWriter.write(store.tensors, to: base)

        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        for (index, sample) in TinyWorld.images(12, seed: 200).enumerated() {
            try sample.image.write(to: "\(data)/\(100 + index).png")
            try folder.write(sample.caption, to: "described/\(100 + index).txt")
            try folder.write(#"{"width": 800, "height": 800}"#, to: "described/\(100 + index).json")
        }
    }
}
