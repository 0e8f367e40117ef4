import Layers
import Torch

/// What a block may need beside the activations.
struct BlockContext {
    /// Embeddings of `r` and of each time condition, [B, timeWidth] each, float32.
    let times: [Tensor]
    /// SiLU of the condition's tokens, [B, T, conditionWidth]: every attention block starts with it.
    let activatedCondition: Tensor
    /// What blocks made of the condition in an earlier step; nil keeps nothing.
    var kept: KeptCondition?
    /// What the block drops while it is trained.
    var dropout: Dropout?
}

/// A block over channels-last activations [B, H, W, C].
protocol Block {
    func callAsFunction(_ x: Tensor, skip: Tensor?, _ context: BlockContext) throws -> Tensor
}

/// C: looks sideways with a depthwise convolution, then mixes channels.
final class ResidualBlock: Block {
    /// Depthwise kernel, [C, 1, k, k].
    private let depthwise: DepthwiseConvolution
    private let channelwise: ChannelMixer
    private let width: Int

    init(_ shape: BlockShape, skipWidth: Int, _ scope: Scope) throws {
        width = shape.width
        depthwise = try DepthwiseConvolution(
            width: width, kernel: shape.kernelSize, initial: .xavierUniform(), scope("depthwise"))
        channelwise = try ChannelMixer(
            inputs: width + skipWidth, width: width, depth: shape.depth, scope("channelwise"))
    }

    func callAsFunction(_ x: Tensor, skip: Tensor?, _ context: BlockContext) throws -> Tensor {
        let sideways = try depthwise(x.channelsFirst()).channelsLast()  // [B, H, W, C]
        var mixed = try sideways.layerNorm(size: width, epsilon: 1e-6)
        if let skip { mixed = try .concatenated([mixed, skip], dimension: -1) }  // [B, H, W, C + skip]
        return try x + channelwise(mixed, context.dropout)
    }
}

/// F: mixes channels only.
final class FeedForwardBlock: Block {
    private let channelwise: ChannelMixer
    private let width: Int

    init(_ shape: BlockShape, _ scope: Scope) throws {
        width = shape.width
        channelwise = try ChannelMixer(inputs: width, width: width, depth: shape.depth, scope("channelwise"))
    }

    func callAsFunction(_ x: Tensor, skip: Tensor?, _ context: BlockContext) throws -> Tensor {
        try x + channelwise(x.layerNorm(size: width, epsilon: 1e-6), context.dropout)
    }
}

/// T: scales and shifts by the time embeddings.
final class TimestepBlock: Block {
    private let mappers: [Linear]

    init(_ shape: BlockShape, timeWidth: Int, conditions: [String], _ scope: Scope) throws {
        mappers = try (["mapper"] + conditions.map { "mapper_\($0)" }).map { name in
            try Linear(.init(timeWidth, 2 * shape.width, initial: .zeros), scope(name))
        }
    }

    func callAsFunction(_ x: Tensor, skip: Tensor?, _ context: BlockContext) throws -> Tensor {
        var sum = try mappers[0](context.times[0])
        for (mapper, time) in zip(mappers, context.times).dropFirst() { sum = try sum + mapper(time) }
        let parts = try sum.to(dtype: x.dtype).unsqueezed(1).unsqueezed(1).chunked(2, dimension: -1)  // [B, 1, 1, C]
        return try x.multiplied(by: parts[0] + 1, adding: parts[1])
    }
}

/// A: attends to the condition, and to the image's own tokens where the level says so.
final class AttentionBlock: Block {
    private let attention: Attention
    private let conditionMapper: Linear
    private let width: Int
    private let includingSelf: Bool

    init(_ shape: BlockShape, conditionWidth: Int, _ scope: Scope) throws {
        width = shape.width
        includingSelf = shape.selfAttention
        attention = try Attention(width: width, heads: shape.heads, scope("attention")("attn"))
        conditionMapper = try Linear(.init(conditionWidth, width), scope("kv_mapper")(1))
    }

    func callAsFunction(_ x: Tensor, skip: Tensor?, _ context: BlockContext) throws -> Tensor {
        let condition = try context.kept.value(of: self) {
            try attention.keysAndValues(of: conditionMapper(context.activatedCondition))  // [B, T, 2C]
        }
        let tokens = try x.layerNorm(size: width, epsilon: 1e-6).reshaped([x.size(0), -1, width])  // [B, H * W, C]
        let attended = try attention(
            tokens, condition: condition, includingSelf: includingSelf, dropout: context.dropout)
        return try x + attended.reshaped(x.shape)
    }
}

/// What the blocks of one level have in common.
struct BlockShape {
    let width: Int
    let heads: Int
    let kernelSize: Int
    let selfAttention: Bool
    /// Blocks on the whole way down.
    let depth: Int
}

extension Tensor {
    /// [B, H, W, C] seen as [B, C, H, W], without moving anything.
    func channelsFirst() throws -> Tensor { try permuted([0, 3, 1, 2]) }

    /// [B, C, H, W] seen as [B, H, W, C].
    func channelsLast() throws -> Tensor { try permuted([0, 2, 3, 1]) }
}
