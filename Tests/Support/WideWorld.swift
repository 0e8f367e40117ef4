import Cascade
import Foundation
import JSON
import Layers
import Torch
import Weights

/// A base and a text encoder like the tiny world's, but wide enough that their matrices can be quantised.
public struct WideWorld {
    /// Holds all files.
    public let scratch: Scratch
    /// As `model_version` names it.
    public var architecture: String { scratch["wide/wide.yaml"] }
    /// Stage C.
    public var base: String { scratch["wide/base.safetensors"] }
    /// The text encoder's folder.
    public var text: String { scratch["wide/text"] }

    /// - Parameters:
    ///   - scratch: the folder in which it is made.
    ///   - width: of Stage C's blocks, two or more times 32. The text encoder's is 64.
    public init(in scratch: Scratch, width: Int = 64) throws {
        self.scratch = scratch
        try FileManager.default.createDirectory(atPath: scratch["wide/text"], withIntermediateDirectories: true)
        try scratch.write(
            """
            {c_r: 16, c_cond: \(width), c_hidden: [\(width), \(width)], nhead: [2, 2], blocks: [[1, 2], [2, 1]], c_clip_text: 64,
             c_clip_text_pooled: 64, c_clip_img: 8, c_clip_seq: 2}
            """, to: "wide/wide.yaml")
        let generator = try Generator(seed: 17)
        let store = ParameterStore(from: DrawnParameters(generator))
        var c = TinyWorld.architecture
        (c.conditionWidth, c.hidden, c.clipTextWidth, c.clipTextPooledWidth) = (width, [width, width], 64, 64)
        _ = try StageC(c, store)
        if let last = store["clf.1.weight"] { try last.assign(generator.normal(last.shape) * 0.2) }
        try SafetensorsWriter.write(store.tensors, to: base)
        try writeText()
    }

    private func writeText() throws {
        let tiny = try TinyWorld.shared().text
        for name in ["vocab.json", "merges.txt"] {
            try FileManager.default.copyItem(atPath: "\(tiny)/\(name)", toPath: "\(text)/\(name)")
        }
        let words = try JSON.read("\(text)/vocab.json").objectValue.map { Array($0).count } ?? 0
        try scratch.write(
            """
            {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
             "projection_dim": 64, "vocab_size": \(words), "eos_token_id": \(words - 1)}
            """, to: "wide/text/config.json")
        let configuration = try CLIPTextConfiguration(JSON.read("\(text)/config.json"), file: "config.json")
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 18)))
        _ = try CLIPTextTower(configuration, store.root)
        try SafetensorsWriter.write(store.tensors, to: "\(text)/model.safetensors")
    }

    /// The keys of a configuration that name them.
    public var keys: [String: String] {
        ["model_version": architecture, "generator_checkpoint_path": base, "clip_text_model_name": text]
    }
}
