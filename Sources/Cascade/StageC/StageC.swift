import Failures
import Layers
import Torch

/// Stage C: predicts the noise in 16-channel latents at 1/32 of a picture's sides, by text and picture embeddings.
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
        /// Picture embedding, [B, L, clipImageWidth].
        public var clipImage: Tensor
        /// Times [B] of the configured conditions; one left out counts as 0.
        public var times: [String: Tensor] = [:]
        /// Conditions [B, C, h, w] by the residual block before which they are added, resized bilinearly.
        public var injections: [Int: Tensor] = [:]

        public init(clipText: Tensor, clipTextPooled: Tensor, clipImage: Tensor) {
            self.clipText = clipText
            self.clipTextPooled = clipTextPooled
            self.clipImage = clipImage
        }
    }

    public let configuration: StageCConfiguration
    public let store: ParameterStore
    /// Keeps only each block's input for the backward pass and computes the rest again.
    public var isCheckpointing = false

    /// What activations are computed in: the parameters' dtype, unless that is only how they are stored.
    public var computeDType: DType

    private let embedding: Linear
    private let textMapper: Linear
    private let pooledMapper: Linear
    private let imageMapper: Linear
    private let down: [(change: LevelChange?, level: Level)]
    private let up: [(level: Level, change: LevelChange?)]
    private let classifier: Linear

    public init(_ configuration: StageCConfiguration, _ store: ParameterStore) throws {
        try configuration.check()
        self.configuration = configuration
        self.store = store
        computeDType = store.dtype
        let c = configuration
        let root = store.root
        let patch = c.patchSize * c.patchSize
        embedding = try Linear(
            .init(c.inputs * patch, c.hidden[0], initial: .xavierUniform(gain: 0.02), storedAsConvolution: true),
            root("embedding")(1))
        func mapper(_ inputs: Int, _ outputs: Int, _ name: String) throws -> Linear {
            try Linear(.init(inputs, outputs, initial: .normal(deviation: 0.02)), root(name))
        }
        textMapper = try mapper(c.clipTextWidth, c.conditionWidth, "clip_txt_mapper")
        pooledMapper = try mapper(
            c.clipTextPooledWidth, c.conditionWidth * c.clipSequence, "clip_txt_pooled_mapper")
        imageMapper = try mapper(c.clipImageWidth, c.conditionWidth * c.clipSequence, "clip_img_mapper")

        func level(_ index: Int, _ row: Int, _ step: Int, _ name: String) throws -> Level {
            let shape = BlockShape(
                width: c.hidden[index], heads: c.heads[index], kernelSize: c.kernelSize,
                selfAttention: c.selfAttention[index], depth: c.blocks[0].reduce(0, +))
            let letters = Array(c.levelConfiguration[index])
            var members: [Level.Member] = []
            for position in 0..<c.blocks[row][step] * letters.count {
                let scope = root("\(name)_blocks")(step)(position)
                // The first residual block on the way up takes in what the way down left at its level.
                let takesSkip = row == 1 && step > 0 && position == 0
                let block: any Block =
                    switch letters[position % letters.count] {
                    case "C": try ResidualBlock(shape, skipWidth: takesSkip ? shape.width : 0, scope)
                    case "T":
                        try TimestepBlock(shape, timeWidth: c.timeWidth, conditions: c.timeConditions, scope)
                    case "A": try AttentionBlock(shape, conditionWidth: c.conditionWidth, scope)
                    default: try FeedForwardBlock(shape, scope)
                    }
                members.append(.init(block: block, isInjectionPoint: letters[position % letters.count] == "C"))
            }
            let mappers = try (0..<c.blockRepeat[row][step] - 1).map { repetition in
                try Linear(
                    .init(shape.width, shape.width, storedAsConvolution: true),
                    root("\(name)_repeat_mappers")(step)(repetition))
            }
            return Level(members: members, repeatMappers: mappers)
        }
        down = try (0..<c.levels).map { index in
            let change =
                index == 0
                ? nil
                : try LevelChange(
                    c.hidden[index - 1], c.hidden[index], .down, switchesSides: c.switchLevel[index - 1],
                    root("down_downscalers")(index))
            return (change, try level(index, 0, index, "down"))
        }
        up = try (0..<c.levels).map { step in
            let index = c.levels - 1 - step
            let level = try level(index, 1, step, "up")
            let change =
                index == 0
                ? nil
                : try LevelChange(
                    c.hidden[index], c.hidden[index - 1], .up, switchesSides: c.switchLevel[index - 1],
                    root("up_upscalers")(step))
            return (level, change)
        }
        classifier = try Linear(
            .init(c.hidden[0], c.outputs * patch, initial: .zeros, storedAsConvolution: true), root("clf")(1))
        try store.finish()
    }

    /// Predicts the noise.
    /// - Parameters:
    ///   - latents: [B, inputs, H, W], in the dtype to compute in.
    ///   - time: [B], the noise condition in 0...1.
    /// - Returns: [B, outputs, H, W].
    public func callAsFunction(_ latents: Tensor, time: Tensor, _ conditions: Conditions) throws -> Tensor {
        try check(latents)
        try check(conditions)
        let c = configuration
        let embed = TimeEmbedding(width: c.timeWidth)
        let absent = try Tensor.zeros([latents.size(0)], device: latents.device)
        let times = try [embed(time)] + c.timeConditions.map { try embed(conditions.times[$0] ?? absent) }
        let context = BlockContext(times: times, activatedCondition: try conditionTokens(conditions).silu())
        var injections = Injections(conditions.injections)

        let patches = try latents.pixelUnshuffled(c.patchSize).channelsLast()  // [B, h, w, inputs * p²]
        var x = try embedding(patches).layerNorm(size: c.hidden[0], epsilon: 1e-6)  // [B, h, w, hidden[0]]
        var outputs: [Tensor] = []
        for (change, level) in down {
            if let change { x = try change(x) }
            x = try run(level, x, skip: nil, context, &injections)
            outputs.append(x)
        }
        for (step, (level, change)) in up.enumerated() {
            let skip = step == 0 ? nil : outputs[c.levels - 1 - step]
            x = try run(level, x, skip: skip, context, &injections)
            if let change { x = try change(x) }
        }
        let prediction = try classifier(x.layerNorm(size: c.hidden[0], epsilon: 1e-6))  // [B, h, w, outputs * p²]
        return try prediction.channelsFirst().pixelShuffled(c.patchSize)
    }

    /// [B, T + L * clipSequence + L * clipSequence, conditionWidth], normalised.
    private func conditionTokens(_ conditions: Conditions) throws -> Tensor {
        let width = configuration.conditionWidth
        func tokens(_ mapper: Linear, _ pooled: Tensor) throws -> Tensor {
            try mapper(pooled).reshaped([pooled.size(0), -1, width])
        }
        return try Tensor.concatenated(
            [
                textMapper(conditions.clipText), tokens(pooledMapper, conditions.clipTextPooled),
                tokens(imageMapper, conditions.clipImage),
            ], dimension: 1
        ).layerNorm(size: width, epsilon: 1e-6)
    }

    private func run(
        _ level: Level, _ input: Tensor, skip: Tensor?, _ context: BlockContext, _ injections: inout Injections
    ) throws -> Tensor {
        var x = input
        for repetition in 0...level.repeatMappers.count {
            for (position, member) in level.members.enumerated() {
                var aside: Tensor?
                if position == 0, let skip, member.isInjectionPoint {
                    if x.size(1) != skip.size(1) || x.size(2) != skip.size(2) {
                        x = try x.resizedChannelsLast(height: skip.size(1), width: skip.size(2))
                    }
                    aside = skip
                }
                if member.isInjectionPoint { x = try injections.applied(to: x) }
                x = try apply(member.block, x, aside, context)
            }
            if repetition < level.repeatMappers.count { x = try level.repeatMappers[repetition](x) }
        }
        return x
    }

    private func apply(_ block: any Block, _ x: Tensor, _ skip: Tensor?, _ context: BlockContext) throws -> Tensor {
        guard isCheckpointing else { return try block(x, skip: skip, context) }
        let inputs = [x, context.activatedCondition] + (skip.map { [$0] } ?? [])
        return try checkpointed(inputs) { inputs in
            let context = BlockContext(times: context.times, activatedCondition: inputs[1])
            return try block(inputs[0], skip: inputs.count > 2 ? inputs[2] : nil, context)
        }
    }

    private func check(_ latents: Tensor) throws {
        let patch = configuration.patchSize
        try latents.checkShape("x", [nil, configuration.inputs, nil, nil])
        let halvings = configuration.switchLevel.prefix(configuration.levels - 1).filter(\.self).count
        for side in latents.shape[2...] where side % patch != 0 || (side / patch) >> halvings == 0 {
            throw Failure.input(
                "`x` has a side that this network cannot take",
                expected: "a multiple of \(patch), at least \(patch << halvings)", got: "\(latents.shape)")
        }
    }

    private func check(_ conditions: Conditions) throws {
        let count = configuration.injectionPoints
        if let past = conditions.injections.keys.sorted().first(where: { $0 < 0 || $0 >= count }) {
            throw Failure.input(
                "there is no residual block \(past) to inject a condition before", expected: "0 to \(count - 1)",
                got: "\(past)")
        }
        if let unknown = conditions.times.keys.sorted().first(where: {
            !configuration.timeConditions.contains($0)
        }) {
            throw Failure.input(
                "this network has no time condition `\(unknown)`", expected: "\(configuration.timeConditions)")
        }
    }
}

/// Hands out ControlNet conditions as the residual blocks come by.
private struct Injections {
    private let byIndex: [Int: Tensor]
    private var next = 0

    init(_ byIndex: [Int: Tensor]) { self.byIndex = byIndex }

    /// Adds the condition of the next residual block, resized to `x` [B, H, W, C].
    mutating func applied(to x: Tensor) throws -> Tensor {
        defer { next += 1 }
        guard let condition = byIndex[next] else { return x }
        guard condition.rank == 4, condition.size(1) == x.size(3) else {
            throw Failure.input(
                "the condition for residual block \(next) does not fit", expected: "\(x.size(3)) channels",
                got: "shape \(condition.shape)")
        }
        let resized = try condition.resized(height: x.size(1), width: x.size(2), alignCorners: true)
        return try x + resized.channelsLast().to(dtype: x.dtype)
    }
}
