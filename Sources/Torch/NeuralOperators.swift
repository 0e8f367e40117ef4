/// The operators of neural networks that libtorch brings.
extension Tensor {
    /// The matrix product [..., n, k] · [..., k, m] to [..., n, m]; dimensions before the last two broadcast.
    public func matmul(_ other: Tensor) throws -> Tensor { try Operators.matmul(.tensor(self), .tensor(other)) }

    /// `x · weightᵀ + bias` over the last dimension, in x's dtype; weight [out, in], bias [out], which may have another. A
    /// weight of another is converted again for the backward pass instead of being kept.
    public func linear(_ weight: Tensor, bias: Tensor? = nil) throws -> Tensor {
        try Operators.linear(.tensor(self), .tensor(weight), .optional(bias))
    }

    /// `x · weightᵀ + bias` with a frozen weight and bias, to whose columns from `column` on each pair of thin matrices adds
    /// `scale · (x · downᵀ) · upᵀ`.
    /// - Parameter additions: down [rank, in] and up [columns, rank] in one dtype, which may be another than that of the rest.
    public func linear(
        _ weight: Tensor, bias: Tensor?,
        adding additions: [(down: Tensor, up: Tensor, column: Int, scale: Double)]
    ) throws -> Tensor {
        try Operators.linearLowRank(
            .tensor(self), .tensor(weight), .optional(bias), .tensors(additions.map(\.down)),
            .tensors(additions.map(\.up)), .ints(additions.map(\.column)), .doubles(additions.map(\.scale)))
    }

    /// A convolution over [B, C, H, W]; weight [out, in / groups, kernel, kernel], or [in, out / groups, …] transposed.
    public func convolved(
        _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
        transposed: Bool = false
    ) throws -> Tensor {
        try Operators.convolution(
            .tensor(self), .tensor(weight), .optional(bias), .ints([stride, stride]), .ints([padding, padding]),
            .ints([dilation, dilation]), .bool(transposed), .ints([0, 0]), .int(groups))
    }

    /// A convolution of each channel of [B, C, H, W] with its kernel, padded by half of it; weight [C, 1, kernel, kernel] with
    /// an odd kernel, bias [C].
    /// - Returns: [B, C, H / stride, W / stride], rounded up.
    public func depthwise(_ weight: Tensor, bias: Tensor? = nil, stride: Int = 1) throws -> Tensor {
        try Operators.depthwise(.tensor(self), .tensor(weight), .optional(bias), .int(stride))
    }

    /// softmax(q·kᵀ / √width)·v with q, k, v [B, heads, tokens, width]; `mask` adds to the scores.
    public static func attention(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, causal: Bool = false
    ) throws -> Tensor {
        if mask == nil, !causal { return try Operators.attention(.tensor(query), .tensor(key), .tensor(value)) }
        return try Operators.maskedAttention(
            .tensor(query), .tensor(key), .tensor(value), .optional(mask), .double(0), .bool(causal))
    }

    /// Attention by the outputs of fused projections: to the tokens themselves first, then to a condition's.
    /// - Parameters:
    ///   - own: queries, keys and values side by side, [B, N, 3c]; or queries alone, [B, N, c].
    ///   - condition: keys and values, [B, T, 2c].
    ///   - heads: into which c is split.
    /// - Returns: [B, N, c].
    public static func attention(own: Tensor, condition: Tensor, heads: Int) throws -> Tensor {
        try Operators.fusedAttention(
            .tensor(own), .tensor(condition), .int(heads), .double(0), .ints([]), .int(0), .int(0), .ints([]))
    }

    /// Layer norm over the last dimension of `size`.
    public func layerNorm(
        size: Int, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double
    ) throws -> Tensor {
        try Operators.layerNorm(
            .tensor(self), .ints([size]), .optional(weight), .optional(bias), .double(epsilon))
    }

    /// Batch norm with fixed statistics, over dimension 1.
    public func batchNorm(
        mean: Tensor, variance: Tensor, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double
    ) throws -> Tensor {
        try Operators.batchNorm(
            .tensor(self), .optional(weight), .optional(bias), .tensor(mean), .tensor(variance), .bool(false),
            .double(0), .double(epsilon), .bool(false))
    }

    /// Batch norm by the statistics of this batch, over dimension 1; the running ones, float32, move towards them in place.
    /// - Parameter momentum: the part of the way that they move.
    public func batchNorm(
        following momentum: Double, mean: Tensor, variance: Tensor, weight: Tensor? = nil, bias: Tensor? = nil,
        epsilon: Double
    ) throws -> Tensor {
        try Operators.batchNorm(
            .tensor(self), .optional(weight), .optional(bias), .tensor(mean), .tensor(variance), .bool(true),
            .double(momentum), .double(epsilon), .bool(false))
    }

    /// Exponentials along one dimension, divided by their sum; they add up to 1.
    public func softmax(_ dimension: Int) throws -> Tensor { try Operators.softmax(.tensor(self), .int(dimension)) }

    /// The logarithm of the softmax, exact where the softmax itself would vanish.
    public func logSoftmax(_ dimension: Int) throws -> Tensor {
        try Operators.logSoftmax(.tensor(self), .int(dimension))
    }

    /// GELU by the error function.
    public func gelu() throws -> Tensor { try Operators.gelu(.tensor(self)) }
    /// GELU and global response normalisation of channels-last [B, ..., C]; gamma and beta have C elements.
    ///
    /// Keeps its input alone for the backward pass.
    public func geluResponseNorm(gamma: Tensor, beta: Tensor) throws -> Tensor {
        try Operators.geluResponseNorm(.tensor(self), .tensor(gamma), .tensor(beta))
    }
    /// 1 / (1 + e^-x), between 0 and 1.
    public func sigmoid() throws -> Tensor { try Operators.sigmoid(.tensor(self)) }
    /// x · sigmoid(x), also called swish.
    public func silu() throws -> Tensor { try Operators.silu(.tensor(self)) }
    /// SiLU of [B, C, H, W], each channel of it then scaled by what two layers make of all channels' means: squeeze and
    /// excitation (Hu et al. 2018).
    ///
    /// Keeps its input alone for the backward pass.
    /// - Parameters:
    ///   - squeeze: weight [n, C, 1, 1] and bias [n] of the first layer, which SiLU follows.
    ///   - excite: weight [C, n, 1, 1] and bias [C] of the second, which sigmoid follows.
    public func siluSqueezeExcitation(
        squeeze: (weight: Tensor, bias: Tensor), excite: (weight: Tensor, bias: Tensor)
    ) throws -> Tensor {
        try Operators.siluSqueezeExcitation(
            .tensor(self), .tensor(squeeze.weight), .tensor(squeeze.bias), .tensor(excite.weight), .tensor(excite.bias))
    }
    /// Negative elements times `slope`, the others as they are.
    public func leakyReLU(_ slope: Double) throws -> Tensor {
        try Operators.leakyReLU(.tensor(self), .double(slope))
    }

    /// Rows of a table [n, width] by int64 ids of any shape.
    public func embedded(_ ids: Tensor) throws -> Tensor { try Operators.embedding(.tensor(self), .tensor(ids)) }

    /// The largest of each square of `side` pixels of [B, C, H, W], squares side by side; what is left over goes.
    public func maxPooled(_ side: Int) throws -> Tensor {
        try Operators.maxPool(
            .tensor(self), .ints([side, side]), .ints([side, side]), .ints([0, 0]), .ints([1, 1]), .bool(false))
    }

    /// Bilinear resize of [B, C, H, W].
    public func resized(height: Int, width: Int, alignCorners: Bool, antialias: Bool = false) throws -> Tensor {
        let op = antialias ? Operators.bilinearAntialiased : Operators.bilinear
        return try op(.tensor(self), .ints([height, width]), .bool(alignCorners))
    }

    /// Resize of [B, C, H, W] by the nearest element, that at the corner of what it covers.
    /// - Parameter scale: how many times longer the sides become; nil takes it from the sizes. Where the sizes ask for
    ///   more than it gives, the last element reaches to the border.
    public func resizedToNearest(height: Int, width: Int, scale: Double? = nil) throws -> Tensor {
        let scale = scale.map(Operator.Argument.double) ?? .none
        return try Operators.nearest(.tensor(self), .ints([height, width]), scale, scale)
    }

    /// Bicubic resize of [B, C, H, W], corners not aligned.
    /// - Parameter antialias: whether it averages over what it leaves out.
    public func resizedBicubic(height: Int, width: Int, antialias: Bool) throws -> Tensor {
        let op = antialias ? Operators.bicubicAntialiased : Operators.bicubic
        return try op(.tensor(self), .ints([height, width]), .bool(false))
    }

    /// Moves squares of pixels into channels: [B, C, H, W] to [B, C * factor², H / factor, W / factor].
    public func pixelUnshuffled(_ factor: Int) throws -> Tensor {
        try Operators.pixelUnshuffle(.tensor(self), .int(factor))
    }

    /// Spreads channels over squares of pixels: [B, C * factor², H, W] to [B, C, H * factor, W * factor].
    public func pixelShuffled(_ factor: Int) throws -> Tensor {
        try Operators.pixelShuffle(.tensor(self), .int(factor))
    }
}
