import Failures
import Layers
import Torch

/// Stage C: predicts the noise in 16-channel latents at 1/32 of an image's sides, by text and image embeddings.
///
/// Computes the function of the reference's `modules/stage_c.py`, with its parameter names; activations are
/// channels-last inside. ControlNet conditions go in before the residual blocks that `Conditions.injections` names.
public final class StageC {
    /// What a prediction depends on beside the latents and the time.
    public struct Conditions {
        /// Text tokens, [B, T, clipTextWidth].
        public var clipText: Tensor
        /// Pooled text, [B, L, clipTextPooledWidth].
        public var clipTextPooled: Tensor
        /// Image embedding, [B, L, clipImageWidth].
        public var clipImage: Tensor
        /// Times [B] of the configured conditions; one left out counts as 0.
        public var times: [String: Tensor] = [:]
        /// What is dropped in training; nil drops nothing.
        public var dropout: DropoutPass?
        /// Conditions [B, C, h, w] by the residual block before which they are added, resized bilinearly.
        public var injections: [Int: Tensor] = [:]
        /// Those of further ControlNets, whose conditions have sizes of their own.
        public var furtherInjections: [[Int: Tensor]] = []
        /// What is kept from step to step of sampling; nil keeps nothing.
        public var kept: KeptCondition?

        /// Without time conditions, ControlNets and dropout, which may be set afterwards.
        public init(clipText: Tensor, clipTextPooled: Tensor, clipImage: Tensor) {
            self.clipText = clipText
            self.clipTextPooled = clipTextPooled
            self.clipImage = clipImage
        }
    }

    /// What the network was made by.
    public let configuration: StageCConfiguration
    /// The network's parameters, with the places where adapters attach.
    public let store: ParameterStore
    /// Keeps only the input of each residual block with those behind it, and computes the rest again for the backward pass.
    public var isCheckpointing: Bool {
        get { levels.isCheckpointing }
        set { levels.isCheckpointing = newValue }
    }

    /// Where processes share the network; nil where each has all of it.
    public var shared: SharedBlocks? {
        get { levels.shared }
        set { levels.shared = newValue }
    }

    /// What is passed in one piece, in the order of a pass: all of the network.
    public var blocks: [NetworkBlock] {
        let first = ["embedding", "clip_txt_mapper", "clip_txt_pooled_mapper", "clip_img_mapper"]
        return [NetworkBlock(first[0], paths: first)] + levels.blocks + [NetworkBlock("clf", paths: ["clf"])]
    }

    /// What activations are computed in: the parameters' dtype, unless that is only how they are stored.
    public var computeDType: DType

    private let embedding: PatchEmbedding
    private let textMapper: Linear
    private let pooledMapper: Linear
    private let imageMapper: Linear
    private let levels: Levels
    private let classifier: PatchClassifier

    /// Takes all of a store: the network has it to itself.
    /// - Throws: a failure of the input that names a value that can't be, or the keys that do not fit.
    public init(_ configuration: StageCConfiguration, _ store: ParameterStore) throws {
        try configuration.check()
        self.configuration = configuration
        self.store = store
        computeDType = store.dtype
        let c = configuration
        let root = store.root
        embedding = try PatchEmbedding(c, root)
        func mapper(_ inputs: Int, _ outputs: Int, _ name: String) throws -> Linear {
            try Linear(.init(inputs, outputs, initial: .normal(deviation: 0.02)), root(name))
        }
        textMapper = try mapper(c.clipTextWidth, c.conditionWidth, "clip_txt_mapper")
        pooledMapper = try mapper(
            c.clipTextPooledWidth, c.conditionWidth * c.clipSequence, "clip_txt_pooled_mapper")
        imageMapper = try mapper(c.clipImageWidth, c.conditionWidth * c.clipSequence, "clip_img_mapper")
        levels = try Levels(c, root)
        classifier = try PatchClassifier(c, root)
        try store.finish()
    }

    /// Predicts the noise.
    /// - Parameters:
    ///   - latents: [B, inputs, H, W], in the dtype to compute in.
    ///   - time: [B], the noise condition in 0...1.
    /// - Returns: [B, outputs, H, W].
    public func callAsFunction(_ latents: Tensor, time: Tensor, _ conditions: Conditions) throws -> Tensor {
        try configuration.check(latents: latents)
        try check(conditions)
        try shared?.beginPass()
        let tokens = try conditions.kept.value(of: textMapper) {
            try shared.run("embedding", [conditions.clipText, conditions.clipTextPooled, conditions.clipImage]) {
                [self] in try conditionTokens($0[0], $0[1], $0[2]).silu()
            }
        }
        let context = BlockContext(
            times: try configuration.timeEmbeddings(time, conditions.times), activatedCondition: tokens,
            kept: conditions.kept)
        let x = try shared.run("embedding", [latents]) { [embedding] in try embedding($0[0]) }
        let y = try levels(
            x, context, injections: [conditions.injections] + conditions.furtherInjections, dropout: conditions.dropout)
        return try shared.run("clf", [y]) { [classifier] in try classifier($0[0]) }
    }

    /// [B, T + L * clipSequence + L * clipSequence, conditionWidth], normalised.
    private func conditionTokens(_ text: Tensor, _ pooledText: Tensor, _ image: Tensor) throws -> Tensor {
        let width = configuration.conditionWidth
        func tokens(_ mapper: Linear, _ pooled: Tensor) throws -> Tensor {
            try mapper(pooled).reshaped([pooled.size(0), -1, width])
        }
        return try Tensor.concatenated(
            [
                textMapper(text), tokens(pooledMapper, pooledText), tokens(imageMapper, image),
            ], dimension: 1
        ).layerNorm(size: width, epsilon: 1e-6)
    }

    private func check(_ conditions: Conditions) throws {
        let count = configuration.injectionPoints
        let blocks = ([conditions.injections] + conditions.furtherInjections).flatMap(\.keys)
        if let past = blocks.sorted().first(where: { $0 < 0 || $0 >= count }) {
            throw Failure.input(
                "there is no residual block \(past) to inject a condition before", expected: "0 to \(count - 1)",
                got: "\(past)")
        }
    }
}
