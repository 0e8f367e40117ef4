import JSON
import Layers
import Torch

/// A tokenizer and the text encoder it belongs to: captions in, the two text conditions of Stage C out.
public final class TextEncoder {
    /// The network that gets the tokenizer's ids.
    public let tower: CLIPTextTower
    /// Adapters add their tokens here.
    public var tokenizer: CLIPTokenizer

    /// Puts together two that belong together: neither is checked against the other here.
    public init(tower: CLIPTextTower, tokenizer: CLIPTokenizer) {
        self.tower = tower
        self.tokenizer = tokenizer
    }

    /// What Stage C is given of captions.
    public struct Encoded {
        /// The last layer's output before the final norm, [B, 77, c].
        public let tokens: Tensor
        /// [B, 1, projection].
        public let pooled: Tensor

        /// Takes both conditions as they are, such as those of a cache.
        public init(tokens: Tensor, pooled: Tensor) {
            self.tokens = tokens
            self.pooled = pooled
        }
    }

    /// Whether captions are encoded as the tower's file has it: no adapter stands in for its token table, and none is
    /// attached to its projections.
    public var isAsLoaded: Bool {
        tower.tokenEmbedding === tower.tokenTable && tower.projections.allSatisfy { $0.projection.adapters.isEmpty }
    }

    /// Encodes captions, padded to 77 tokens each; what an adapter trains gets gradients.
    public func callAsFunction(_ captions: [String]) throws -> Encoded {
        let rows = captions.map { tokenizer.encodePadded($0) }
        let shape = [captions.count, CLIPTokenizer.length]
        let output = try tower(
            Tensor(rows.flatMap(\.ids), shape: shape), attentionMask: Tensor(rows.flatMap(\.mask), shape: shape))
        return Encoded(tokens: output.hidden, pooled: try output.pooled.unsqueezed(1))
    }
}

extension TextEncoder {
    /// The text encoder and tokenizer in a folder of transformers' layout, its weights in any of that layout's files.
    /// - Parameters:
    ///   - vocabulary: the folder of the tokenizer; nil for the tower's.
    ///   - dtype: what the tower's weights are kept in.
    ///   - base: what the matrices of its layers are kept in; nil for the same.
    /// - Throws: a failure of the input that names the file that is missing or does not fit.
    public static func load(
        folder: String, vocabulary: String? = nil, dtype: DType = .float32, base: BaseDType? = nil,
        device: Device = .cpu
    ) throws -> TextEncoder {
        let configuration = try CLIPTextConfiguration(
            JSON.read("\(folder)/config.json"), file: "\(folder)/config.json")
        let weights = try Checkpoint(folder).tensors(of: .clipText, mayBeQuantised: true)
        let store = ParameterStore(
            from: StoredParameters(weights, ignoring: CLIPTextTower.ignores), dtype: dtype,
            matrices: ModelPart.clipText.matrices(in: base), device: device)
        let tower = try CLIPTextTower(configuration, store.root)
        try store.finish()
        return TextEncoder(tower: tower, tokenizer: try CLIPTokenizer(folder: vocabulary ?? folder))
    }
}
