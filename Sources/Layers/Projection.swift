import Torch

/// A product with a weight matrix that adapters may change: a linear layer, a 1x1 convolution, or one third of a fused
/// attention projection. Depthwise kernels count as a matrix with one row for each channel.
public final class Projection {
    /// The frozen weight; a view of the stored parameter.
    public let weight: Matrix
    /// The frozen bias, [out]; a view of the stored parameter.
    public let bias: Tensor?
    /// The side of depthwise kernels, whose square is `inputs`; nil of any other product.
    public let kernelSide: Int?
    /// What changes the output, in this order; empty where nothing is attached.
    public private(set) var adapters: [any ProjectionAdapter] = []

    /// A place that nothing is attached to. The network's scope has to be told of it by `Scope.register`.
    public init(weight: Matrix, bias: Tensor? = nil, kernelSide: Int? = nil) {
        self.weight = weight
        self.bias = bias
        self.kernelSide = kernelSide
    }

    /// Numbers that one output is computed from; of depthwise kernels those of one kernel.
    public var inputs: Int { weight.inputs }
    /// Rows of the weight; of depthwise kernels one for each channel.
    public var outputs: Int { weight.outputs }

    /// Attaches an adapter; one that is attached already stays where it is.
    public func attach(_ adapter: any ProjectionAdapter) {
        if !isAttached(adapter) { adapters.append(adapter) }
    }

    /// Detaches an adapter and leaves the others.
    public func detach(_ adapter: any ProjectionAdapter) { adapters.removeAll { $0 === adapter } }

    /// Whether this very adapter, not one like it, changes the output.
    public func isAttached(_ adapter: any ProjectionAdapter) -> Bool { adapters.contains { $0 === adapter } }

    /// `output`, which the layer computed from `input`, as the attached adapters change it.
    /// - Parameter part: which of the inputs of one pass it is, where a layer takes several.
    func adapted(_ output: Tensor, of input: Tensor, part: Int = 0) throws -> Tensor {
        try adapters.reduce(output) { try $1(ProjectionPass(input: input, output: $0, part: part)) }
    }
}

/// One input of a frozen product and what came of it, as an adapter sees them.
public struct ProjectionPass {
    /// [..., in] as the frozen layer gets it, of depthwise kernels [B, C, H, W].
    public var input: Tensor
    /// [..., out] or [B, C, H, W], with the bias, as the frozen layer and the adapters attached before computed it.
    public let output: Tensor
    /// 0, or 1 for the second input of a layer that takes two in one pass.
    public let part: Int
}

/// What an adapter makes of a frozen product.
public protocol ProjectionAdapter: AnyObject {
    /// - Returns: the new output, in the shape and dtype of the one that `pass` has.
    func callAsFunction(_ pass: ProjectionPass) throws -> Tensor

    /// What it adds to the next pass, where it does nothing else: a layer may then leave it uncalled and add this itself.
    var addition: LowRankAddition? { get }
}

extension ProjectionAdapter {
    /// Nil: the adapter is called.
    public var addition: LowRankAddition? { nil }
}

/// `scale · (x · downᵀ) · upᵀ`.
public struct LowRankAddition {
    /// [rank, in].
    public let down: Tensor
    /// [out, rank], in the dtype of the other.
    public let up: Tensor
    /// Multiplies the product.
    public let scale: Double

    /// An addition by two thin matrices.
    public init(down: Tensor, up: Tensor, scale: Double) {
        self.down = down
        self.up = up
        self.scale = scale
    }
}

/// What is known of a product without its weights.
public struct ModuleShape: Sendable, Equatable {
    /// As in our files: `down_blocks.0.2.attention.attn.to_q`.
    public let path: String
    /// Of depthwise kernels the numbers of one kernel.
    public let inputs: Int
    /// Rows of the weight; of depthwise kernels one for each channel.
    public let outputs: Int
    /// The side of depthwise kernels, whose square is `inputs`; nil of any other product.
    public let kernelSide: Int?

    /// A product whose sizes a file tells.
    public init(path: String, inputs: Int, outputs: Int, kernelSide: Int? = nil) {
        self.path = path
        self.inputs = inputs
        self.outputs = outputs
        self.kernelSide = kernelSide
    }

    /// The sizes of a product that is there.
    public init(_ path: String, _ projection: Projection) {
        self.init(
            path: path, inputs: projection.inputs, outputs: projection.outputs, kernelSide: projection.kernelSide)
    }
}
