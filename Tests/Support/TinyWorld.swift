import Cascade
import Foundation
import Generation
import Images
import JSON
import Layers
import Shards
import Torch
import Weights

/// All that a training run reads, as small as it gets: encoders and a base with drawn weights, a tokenizer of a few
/// words, an architecture file, a dozen images with captions and four that are held out.
public final class TinyWorld: Sendable {
    /// Made once in a process, on first use, and removed when the process ends.
    public static func shared() throws -> TinyWorld { try made.get() }

    private static let made: Result<TinyWorld, any Error> = Result {
        let world = try TinyWorld()
        atexit { if case .success(let world) = TinyWorld.made { world.folder.remove() } }
        return world
    }

    /// Holds all files.
    public let folder: Scratch
    /// Images with captions, packed.
    public var data: String { folder["data.tar"] }
    /// The base that adapters are trained on.
    public var base: String { folder["base.safetensors"] }
    /// The encoder of latents.
    public var effnet: String { folder["effnet.safetensors"] }
    /// The text encoder's folder.
    public var text: String { folder["text"] }

    /// As `model_version` names it: two levels of width 16, six residual blocks.
    public static let architecture: StageCConfiguration = {
        var c = StageCConfiguration()
        c.timeWidth = 16
        c.conditionWidth = 16
        c.hidden = [16, 16]
        c.heads = [2, 2]
        c.blocks = [[1, 2], [2, 1]]
        (c.clipTextWidth, c.clipTextPooledWidth, c.clipImageWidth, c.clipSequence) = (16, 16, 8, 2)
        return c
    }()

    private static let architectureText = """
        {c_r: 16, c_cond: 16, c_hidden: [16, 16], nhead: [2, 2], blocks: [[1, 2], [2, 1]], c_clip_text: 16,
         c_clip_text_pooled: 16, c_clip_img: 8, c_clip_seq: 2}
        """

    private static let textConfiguration: CLIPTextConfiguration = {
        var text = CLIPTextConfiguration()
        (text.width, text.innerWidth, text.layers, text.heads) = (16, 32, 1, 2)
        (text.projected, text.vocabulary, text.endToken) = (16, words.count, words.count - 1)
        return text
    }()

    /// Letters within words and at their ends, one word, and the two marks.
    private static let words: [String] = {
        let letters = "abcdefghijklmnopqrstuvwxyz0123456789".map(String.init)
        return letters + letters.map { $0 + "</w>" } + ["do", "dog</w>", "<|startoftext|>", "<|endoftext|>"]
    }()

    private init() throws {
        folder = try Scratch()
        try folder.write(Self.architectureText, to: "tiny.yaml")
        try Self.pack(Self.images(12, seed: 0), to: folder["data.tar"])
        try Self.pack(Self.images(4, seed: 100), to: folder["held-out.tar"])
        try drawEncoders()
        try drawText()
        // A trained base has no zeros in its last layer, or an adapter would get no gradient.
        let generator = try Generator(seed: 7)
        let store = ParameterStore(from: DrawnParameters(generator))
        _ = try StageC(Self.architecture, store)
        if let last = store["clf.1.weight"] { try last.assign(generator.normal(last.shape) * 0.2) }
        try SafetensorsWriter.write(store.tensors, to: base)
    }

    // MARK: Networks

    private func drawEncoders() throws {
        let generator = try Generator(seed: 5)
        let encoder = ParameterStore(from: DrawnParameters(generator))
        let effnet = try EffNetEncoder(.init(), encoder.root)
        let images = try ImageTensors.tensor(Self.images(4, seed: 50).map(\.image))
        let normalised = try EffNetEncoder.normalised(images)
        try effnet.measureStatistics(on: normalised)
        let halves = try encoder.tensors.map { ($0.name, try $0.tensor.to(dtype: .bfloat16)) }
        try SafetensorsWriter.write(halves, to: self.effnet)

        let decoder = ParameterStore(from: DrawnParameters(generator))
        let previewer = try Previewer(.init(hidden: 8), decoder.root)
        try previewer.measureStatistics(on: withoutGradients { try effnet.encode(normalised) })
        try SafetensorsWriter.write(decoder.tensors, to: folder["previewer.safetensors"])
    }

    private func drawText() throws {
        try FileManager.default.createDirectory(atPath: text, withIntermediateDirectories: true)
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 6)))
        _ = try CLIPTextTower(Self.textConfiguration, store.root)
        try SafetensorsWriter.write(store.tensors, to: "\(text)/model.safetensors")
        try folder.write(
            """
            {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
             "projection_dim": 16, "vocab_size": \(Self.words.count), "eos_token_id": \(Self.words.count - 1)}
            """, to: "text/config.json")
        let numbered = Self.words.enumerated().map { ($1, JSON.integer($0)) }
        var vocabulary = JSON.Object()
        for (word, id) in numbered { vocabulary[word] = id }
        try folder.write(JSON.object(vocabulary).text(), to: "text/vocab.json")
        try folder.write("#version: 0.2\nd o\ndo g</w>\n", to: "text/merges.txt")
    }

    // MARK: Data

    /// Images of 64 pixels a side in two colours, each with its caption.
    public static func images(_ count: Int, seed: Int) -> [(image: Image, caption: String)] {
        (0..<count).map { number in
            let index = number + seed
            var pixels = [UInt8](repeating: 0, count: 64 * 64 * 3)
            for y in 0..<64 {
                for x in 0..<64 {
                    let isInside = (x + 5 * index) % 64 < 24 && (y + 11 * index) % 64 < 40
                    for channel in 0..<3 {
                        let colour = (index * 37 + channel * 71 + (isInside ? 128 : 0)) % 256
                        pixels[(y * 64 + x) * 3 + channel] = UInt8(colour)
                    }
                }
            }
            return (Image(width: 64, height: 64, pixels: pixels), "a dog number \(index)")
        }
    }

    /// Packs samples as `dataset pack` does.
    public static func pack(_ samples: [(image: Image, caption: String)], to path: String) throws {
        let folder = try Scratch()
        for (index, sample) in samples.enumerated() {
            try sample.image.write(to: folder["\(100 + index).png"])
            try folder.write(sample.caption, to: "\(100 + index).txt")
        }
        _ = try packDataset(folder: folder.path, to: path) { _ = try Image(decoding: $0, name: $1) }
    }

    // MARK: Configurations

    /// The keys that say where this world lies, and that a run's folders lie in `scratch`.
    public func places(in scratch: Scratch) -> [String: String] {
        [
            "checkpoint_path": scratch["checkpoints"], "output_path": scratch["output"],
            "model_version": folder["tiny.yaml"], "webdataset_path": data, "effnet_checkpoint_path": effnet,
            "previewer_checkpoint_path": folder["previewer.safetensors"], "clip_text_model_name": text,
            "clip_image_model_name": "null",
            "generator_checkpoint_path": base,
        ]
    }

    /// A configuration of a run whose folders lie in `scratch`.
    /// - Parameter changes: values as YAML by their keys; an empty one takes the key away.
    public func configuration(in scratch: Scratch, _ changes: [String: String]) -> String {
        var keys = [
            "experiment_id": "run", "lr": "0.01", "batch_size": "4", "image_size": "64", "updates": "3",
            "warmup_updates": "2", "save_every": "100", "backup_every": "100", "shuffle_buffer": "8",
            "cache_in_memory": "true", "preview_steps": "0",
        ]
        keys.merge(places(in: scratch)) { $1 }
        keys.merge(changes) { $1 }
        return keys.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { "\($0): \($1)\n" }.joined()
    }

    /// The keys that make a configuration one of the `lora` recipe.
    public static let lora = [
        "module_filters": "['.attn']", "rank": "2", "train_tokens": "[['[rex]', '^dog</w>']]",
    ]

    /// The keys that make a configuration one of the `controlnet` recipe.
    public static let controlNet = [
        "controlnet_filter": "CannyFilter", "controlnet_filter_params": "{resize: 32}",
        "controlnet_blocks": "[0, 2, 5]", "controlnet_bottleneck_mode": "simple",
    ]

    /// The keys that add a validation loss and previews.
    public var heldOut: [String: String] {
        ["validation_path": folder["held-out.tar"], "validation_triples": "4", "preview_steps": "2"]
    }
}
