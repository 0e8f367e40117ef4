import Failures
import Layers
import Torch

/// A CLIP text encoder with its projection, keys and numbers of transformers' `CLIPTextModelWithProjection`.
///
/// Frozen in every recipe; gradients pass through it to learned tokens and to what is attached to its projections.
///
/// Where a text is pooled depends on the configuration. An `eos_token_id` of 2, which old files have, means the
/// position of the largest id: a learned token, numbered past the vocabulary, then takes the place of the end token.
/// Any other value means its own first position.
public final class CLIPTextTower {
    /// What comes of a batch of texts.
    public struct Output {
        /// The last layer's output before the final norm, [B, T, c].
        public let hidden: Tensor
        /// The pooled position behind the final norm, projected, [B, projection].
        public let pooled: Tensor
    }

    /// What the network was made by.
    public let configuration: CLIPTextConfiguration
    /// Key `text_model.embeddings.token_embedding.weight`, [vocabulary, c].
    public let tokenTable: TokenTable
    /// Where the vectors of tokens come from: `tokenTable`, or what an adapter puts in its place.
    public var tokenEmbedding: any TokenEmbedding
    /// Whether a backward pass computes each layer again instead of keeping what is inside it.
    public var isCheckpointing = false
    /// Whether what of a layer lies in a mapped file leaves memory as soon as the layer has been passed, until it is asked
    /// for again: a tower that a stage follows is in nobody's way then. Nobody may have written to it.
    public var isLeavingFiles = false
    /// Key `text_model.embeddings.position_embedding.weight`, [positions, c].
    private let positionTable: Tensor
    /// Keys `text_model.encoder.layers.*`.
    private let layers: [(layer: CLIPLayer, scope: Scope)]
    /// Keys `text_model.final_layer_norm`.
    private let finalNorm: LayerNorm
    /// Key `text_projection.weight`, [projection, c].
    private let projection: Linear
    /// The layers to which an adapter can add something, by path: `text_model.encoder.layers.0.self_attn.q_proj`.
    public let projections: [(path: String, projection: Projection)]

    /// Takes `text_model.*` and `text_projection` from a scope, whose projections adapters can then attach to.
    public init(_ configuration: CLIPTextConfiguration, _ scope: Scope) throws {
        self.configuration = configuration
        let (text, width) = (scope("text_model"), configuration.width)
        tokenTable = try TokenTable(configuration, text("embeddings")("token_embedding"))
        tokenEmbedding = tokenTable
        positionTable = try text("embeddings")("position_embedding").parameter(
            "weight", [configuration.positions, width], .normal(deviation: 0.02))
        layers = try (0..<configuration.layers).map { index in
            let scope = text("encoder")("layers")(index)
            return (try CLIPLayer(configuration, scope), scope)
        }
        finalNorm = try LayerNorm(width, epsilon: configuration.epsilon, text("final_layer_norm"))
        let deviation = 1 / Double(width).squareRoot()
        projection = try Linear(
            .init(width, configuration.projected, bias: false, initial: .normal(deviation: deviation)),
            scope("text_projection"))
        projections = scope.projections
    }

    /// Whether a checkpoint may have a key that this tower does not read: constants, and the other half of a whole
    /// CLIP, in whose file the published text encoder lies.
    public static func ignores(_ key: String) -> Bool {
        key.hasSuffix(".position_ids") || key == "logit_scale"
            || key.hasPrefix("vision_model.") || key.hasPrefix("visual_projection.")
    }

    /// - Parameters:
    ///   - tokens: ids, [B, T], whole numbers below `tokenEmbedding.count`; T is at most `configuration.positions`.
    ///   - attentionMask: [B, T], 0 where a token is padding that no other attends to.
    public func callAsFunction(_ tokens: Tensor, attentionMask: Tensor) throws -> Output {
        let ids = try checked(tokens)
        try attentionMask.checkShape("attention_mask", tokens.shape)
        let device = tokenTable.weight.device
        let (batch, length) = (tokens.size(0), tokens.size(1))
        let rows = try tokenEmbedding(tokens.to(dtype: .int64).to(device: device))  // [B, T, c]
        var x = try rows + positionTable.sliced(0, 0..<length)
        let mask = try Self.scoreMask(attentionMask.to(device: device), dtype: x.dtype)
        for (layer, scope) in layers {
            // A checkpoint where no gradient is wanted would put one into the graph.
            x =
                if isCheckpointing && x.requiresGrad {
                    try checkpointed([x]) { try layer($0[0], mask: mask) }
                } else {
                    try layer(x, mask: mask)
                }
            if isLeavingFiles { scope.releaseFiles() }
        }
        // Chosen before the norm, which works on each position alone.
        let positions = try Tensor(pooledPositions(ids, length: length)).to(device: device)
        let chosen = try x.reshaped([batch * length, x.size(2)]).gathered(0, positions)  // [B, c]
        return Output(hidden: x, pooled: try projection(finalNorm(chosen)))
    }

    /// The ids as plain numbers.
    private func checked(_ tokens: Tensor) throws -> [Int] {
        try tokens.checkShape("tokens", [nil, nil])
        guard !tokens.dtype.isFloatingPoint else {
            throw Failure.input("`tokens` are not ids", expected: "whole numbers", got: "\(tokens.dtype)")
        }
        guard tokens.size(1) <= configuration.positions else {
            throw Failure.input(
                "`tokens` are too many", expected: "at most \(configuration.positions) for a text",
                got: "\(tokens.size(1))")
        }
        let ids = try tokens.values(as: Int.self)
        let count = tokenEmbedding.count
        if let strange = ids.first(where: { $0 < 0 || $0 >= count }) {
            throw Failure.input(
                "`tokens` has an id that the text model does not know", expected: "0 to \(count - 1)",
                got: "\(strange)", advice: "do tokenizer and text model belong together?")
        }
        return ids
    }

    /// Where each text is pooled, counted over all positions of the batch.
    private func pooledPositions(_ ids: [Int], length: Int) -> [Int] {
        stride(from: 0, to: ids.count, by: length).map { start in
            let text = ids[start..<start + length]
            let end = configuration.endToken == 2 ? text.max() ?? 0 : configuration.endToken
            // A text without an end token is pooled at its start, as transformers does.
            return text.firstIndex(of: end) ?? start
        }
    }

    /// What keeps a position from attending to later ones and to padding, [B, 1, T, T].
    private static func scoreMask(_ attentionMask: Tensor, dtype: DType) throws -> Tensor {
        let (batch, length) = (attentionMask.size(0), attentionMask.size(1))
        // Finite, so that a row with nothing to attend to stays a number.
        let never: Float = dtype == .float16 ? -6e4 : -1e30
        let causal = (0..<length).flatMap { row in (0..<length).map { $0 > row ? never : 0 } }
        let padding = try attentionMask.equals(0).reshaped([batch, 1, 1, length])
        return try Tensor(causal, shape: [1, 1, length, length]).to(device: attentionMask.device).to(dtype: dtype)
            .expanded([batch, 1, length, length]).filled(where: padding, with: Double(never))
    }
}
