import Failures
import TestSupport
import Testing
import Torch

/// The engine's kernels beside libtorch's operators, both held against float64.
@Suite struct KernelTests {
    private typealias Function = ([Tensor]) throws -> Tensor

    /// What `function` gives for `inputs` in `dtype` and the gradients of each input, all float64.
    private func results(
        _ function: Function, _ inputs: [Tensor], incoming: Tensor, in dtype: DType
    ) throws -> [Tensor] {
        let leaves = try inputs.map { try $0.to(dtype: dtype).detached() }
        for leaf in leaves { try leaf.setRequiresGrad(true) }
        let output = try function(leaves)
        try output.backward(incoming.to(dtype: dtype))
        return try ([output.detached()] + leaves.map { try #require(try $0.gradient()) }).map {
            try $0.to(dtype: .float64)
        }
    }

    private func relativeError(_ x: Tensor, _ exact: Tensor) throws -> Double {
        try #require(x.shape == exact.shape)
        let scale: Double = try exact.norm().item()
        return try (x - exact).norm().item() / max(scale, 1e-12)
    }

    /// Ours must lie as near to float64 as libtorch's do; a single rounding more or less is nobody's fault.
    private func expectAsExact(
        _ ours: Function, as theirs: Function, _ inputs: [Tensor], incoming: Tensor, in dtype: DType,
        _ comment: Comment
    ) throws {
        // What goes in is rounded for all alike.
        let inputs = try inputs.map { try $0.to(dtype: dtype) }
        let incoming = try incoming.to(dtype: dtype)
        let exact = try results(theirs, inputs, incoming: incoming, in: .float64)
        let (a, b) = (
            try results(ours, inputs, incoming: incoming, in: dtype),
            try results(theirs, inputs, incoming: incoming, in: dtype)
        )
        let rounding = dtype == .float32 ? 1e-7 : 5e-4
        for (place, (ours, (theirs, exact))) in zip(a, zip(b, exact)).enumerated() {
            let (error, bar) = try (relativeError(ours, exact), relativeError(theirs, exact) * 1.2 + rounding)
            #expect(error <= bar, "\(comment), result \(place): \(error), libtorch's bar \(bar)")
        }
    }

    struct Heads: CustomTestStringConvertible {
        var (batch, heads, queries, keys, width) = (1, 1, 1, 1, 2)
        var testDescription: String { "\(batch) x \(heads) heads, \(queries) to \(keys), width \(width)" }
    }

    static let heads = [
        Heads(batch: 2, heads: 3, queries: 36, keys: 121, width: 32),
        Heads(batch: 1, heads: 2, queries: 1, keys: 2, width: 8),
        Heads(batch: 1, heads: 2, queries: 97, keys: 131, width: 64),
        Heads(batch: 1, heads: 1, queries: 193, keys: 3, width: 40),
        Heads(batch: 2, heads: 2, queries: 96, keys: 700, width: 64),
        Heads(batch: 1, heads: 1, queries: 33, keys: 65, width: 2),
        Heads(batch: 3, heads: 1, queries: 5, keys: 31, width: 256),
        // An odd width is left to libtorch.
        Heads(batch: 1, heads: 2, queries: 7, keys: 9, width: 7),
    ]

    /// libtorch's operator, which takes whatever has a mask.
    private func masked(_ x: [Tensor]) throws -> Tensor {
        let mask = try Tensor.zeros([1, 1, x[0].size(2), x[1].size(2)]).to(dtype: x[0].dtype)
        return try .attention(x[0], x[1], x[2], mask: mask)
    }

    @Test(arguments: heads, [DType.float32, .bfloat16])
    func `attention is as exact as libtorch's`(heads: Heads, dtype: DType) throws {
        try checkAttention(heads, dtype)
    }

    func checkAttention(_ h: Heads, _ dtype: DType) throws {
        let generator = try Generator(seed: 3)
        // As the layers have them: [B, tokens, heads, width] seen as [B, heads, tokens, width].
        func drawn(_ tokens: Int) throws -> Tensor {
            try generator.normal([h.batch, tokens, h.heads, h.width]).transposed(1, 2)
        }
        let inputs = try [drawn(h.queries), drawn(h.keys), drawn(h.keys)]
        try expectAsExact(
            { try .attention($0[0], $0[1], $0[2]) }, as: masked, inputs, incoming: drawn(h.queries), in: dtype,
            "\(h.testDescription), \(dtype)")
    }

    @Test(arguments: heads, [DType.float32, .bfloat16])
    func `attention over fused projections is as exact, and drops what dropout of the softmax would drop`(
        heads: Heads, dtype: DType
    ) throws {
        try checkDropping(heads, dtype)
    }

    /// Keys of a token's own and of a condition, in fused projections: every case whose keys can be cut so, and keys of the
    /// condition alone.
    func checkDropping(_ h: Heads, _ dtype: DType) throws {
        for own in [h.queries, 0] where own < h.keys { try checkFused(h, own: own, dropping: 0.3, dtype) }
        for own in [h.queries, 0] where own < h.keys { try checkFused(h, own: own, dropping: 0, dtype) }
    }

    /// - Parameter own: how many of the keys are the queries' own tokens, all of these or none.
    private func checkFused(_ h: Heads, own: Int, dropping rate: Double, _ dtype: DType) throws {
        let generator = try Generator(seed: 6)
        let width = h.heads * h.width
        func drawn(_ tokens: Int, _ parts: Int) throws -> Tensor {
            try generator.normal([h.batch, tokens, parts * width])
        }
        func split(_ x: Tensor) throws -> Tensor {  // [B, heads, tokens, width]
            try x.reshaped([h.batch, x.size(1), h.heads, h.width]).transposed(1, 2)
        }
        let draws = Draws(seed: 9, update: 5, places: 2..<2 + h.batch)
        let ones = try Tensor.full([h.batch, h.heads, h.queries, h.keys], 1)
        let kept = try draws.dropping(rate, of: ones, .network, position: 4)
        try expectAsExact(
            {
                try rate == 0
                    ? .attention(own: $0[0], condition: $0[1], heads: h.heads)
                    : draws.attention(
                        own: $0[0], condition: $0[1], heads: h.heads, dropping: rate, .network, position: 4)
            },
            as: {
                let mine = try own == 0 ? [$0[0]] : $0[0].chunked(3, dimension: -1)
                let theirs = try $0[1].chunked(2, dimension: -1)
                let k = try own == 0 ? theirs[0] : .concatenated([mine[1], theirs[0]], dimension: 1)
                let v = try own == 0 ? theirs[1] : .concatenated([mine[2], theirs[1]], dimension: 1)
                let scores = try split(mine[0]).matmul(split(k).transposed(2, 3)) * (1 / Double(h.width).squareRoot())
                // What is left to libtorch rounds as its attention does, and not as its single operators do.
                let attended =
                    try h.width % 2 == 1 && rate == 0
                    ? .attention(split(mine[0]), split(k), split(v))
                    : (scores.softmax(-1) * kept.to(dtype: scores.dtype)).matmul(split(v))
                return try attended.transposed(1, 2).reshaped([h.batch, h.queries, width])
            },
            [drawn(h.queries, own == 0 ? 1 : 3), drawn(h.keys - own, 2)], incoming: drawn(h.queries, 1), in: dtype,
            "\(h.testDescription), \(own) of the keys its own, \(rate) dropped, \(dtype)")
    }

    @Test(arguments: [1, 3], [DType.float32, .bfloat16])
    func `attention to a frozen condition has the same gradients but the condition's`(parts: Int, dtype: DType) throws {
        let generator = try Generator(seed: 7)
        let (own, condition, incoming) = try (
            generator.normal([2, 37, parts * 64]).to(dtype: dtype), generator.normal([2, 21, 128]).to(dtype: dtype),
            generator.normal([2, 37, 64]).to(dtype: dtype)
        )
        let gradients = try [true, false].map { isTrained in
            let (x, y) = try (own.cloned(), condition.cloned())
            try x.setRequiresGrad(true)
            try y.setRequiresGrad(isTrained)
            try Tensor.attention(own: x, condition: y, heads: 2).backward(incoming)
            #expect(try (y.gradient() != nil) == isTrained)
            return try #require(try x.gradient()).to(dtype: .float64)
        }
        #expect(try relativeError(gradients[1], gradients[0]) < (dtype == .float32 ? 1e-6 : 1e-3))
    }

    @Test func `attention weighs scores that only float32 holds apart`() throws {
        // Scores of a thousand and more: exponentials overflow unless the largest is taken off first.
        let q = try Tensor([Float(60), 0, 0, 60], shape: [1, 1, 2, 2])
        let k = try Tensor([Float(60), 0, 0, 60, 59, 0], shape: [1, 1, 3, 2])
        let v = try Tensor([Float(1), 2, 3, 4, 5, 6], shape: [1, 1, 3, 2])
        let attended = try Tensor.attention(q, k, v)
        #expect(try largestDifference(attended, Tensor([Float(1), 2, 3, 4], shape: [1, 1, 2, 2])) < 1e-6)
    }

    /// Their gradients cancel, but for what is rounded on the way.
    @Test(arguments: [DType.float32, .bfloat16])
    func `a query's gradient is zero where there is one key`(dtype: DType) throws {
        let generator = try Generator(seed: 5)
        let (own, condition, incoming) = try (
            generator.normal([2, 3, 64]), generator.normal([2, 1, 128]), generator.normal([2, 3, 64])
        )
        let gradients = try results(
            { try .attention(own: $0[0], condition: $0[1], heads: 2) }, [own, condition], incoming: incoming, in: dtype)
        #expect(try gradients[1].shape == own.shape && largestDifference(gradients[1], .zeros(own.shape)) < 1e-6)
    }

    @Test func `attention over tensors that do not fit is refused`() throws {
        let x = try Tensor.zeros([1, 2, 3, 4])
        for (k, v) in [([1, 2, 5, 4], [1, 2, 6, 4]), ([1, 3, 5, 4], [1, 3, 5, 4]), ([2, 2, 5, 4], [2, 2, 5, 4])] {
            let failure = try expectedFailure { _ = try Tensor.attention(x, .zeros(k), .zeros(v)) }
            #expect(failure.what.contains("attention"), "\(failure)")
        }
        // Nothing to look at and nothing to look from are libtorch's affair.
        #expect(
            try Tensor.attention(.zeros([0, 2, 3, 4]), .zeros([0, 2, 5, 4]), .zeros([0, 2, 5, 4])).shape == [
                0, 2, 3, 4,
            ])
    }

    struct Thin {
        let rank: Int
        let columns: Range<Int>
        let scale: Double
    }

    // Few ranks are multiplied together, many by themselves; a base may be kept in another dtype.
    @Test(arguments: [DType.float32, .bfloat16], [(4, true), (44, true), (4, false)])
    func `a product with thin ones within it is as exact as they are one by one`(
        dtype: DType, form: (rank: Int, isBaseInDType: Bool)
    ) throws {
        let rank = form.rank
        let generator = try Generator(seed: 8)
        let base: DType = form.isBaseInDType == (dtype == .float32) ? .float32 : .bfloat16
        let weight = try generator.normal([72, 40]).to(dtype: base)
        let bias = try generator.normal([72]).to(dtype: dtype)
        // The last two share columns.
        let thin = [
            Thin(rank: rank, columns: 0..<24, scale: 0.25), Thin(rank: 3, columns: 24..<72, scale: 1.5),
            Thin(rank: 2, columns: 40..<60, scale: 0.1),
        ]
        let matrices = try thin.flatMap { thin in
            [try generator.normal([thin.rank, 40]), try generator.normal([thin.columns.count, thin.rank])]
        }
        func together(_ inputs: [Tensor]) throws -> Tensor {
            try inputs[0].linear(
                weight, bias: bias,
                adding: thin.enumerated().map { number, thin in
                    (inputs[2 * number + 1], inputs[2 * number + 2], thin.columns.lowerBound, thin.scale)
                })
        }
        func oneByOne(_ inputs: [Tensor]) throws -> Tensor {
            let dtype = inputs[0].dtype
            var sum = try inputs[0].linear(weight.to(dtype: dtype), bias: bias.to(dtype: dtype))
            for (number, thin) in thin.enumerated() {
                let narrow = try inputs[0].linear(inputs[2 * number + 1]) * thin.scale
                let added = try narrow.linear(inputs[2 * number + 2])
                sum = try sum + added.padded([thin.columns.lowerBound, 72 - thin.columns.upperBound])
            }
            return sum
        }
        try expectAsExact(
            together, as: oneByOne, [generator.normal([3, 35, 40])] + matrices,
            incoming: generator.normal([3, 35, 72]),
            in: dtype, "\(dtype), weight in \(base)")
    }

    @Test func `a product with thin ones that do not fit is refused`() throws {
        let (x, weight) = (try Tensor.zeros([5, 8]), try Tensor.zeros([6, 8]))
        for (down, up, column) in [
            ([2, 7], [6, 2], 0), ([2, 8], [6, 3], 0), ([2, 8], [6, 2], 1), ([2, 8], [3, 2], -1),
        ] {
            let failure = try expectedFailure {
                _ = try x.linear(weight, bias: nil, adding: [(.zeros(down), .zeros(up), column, 1)])
            }
            #expect(failure.what.contains("linear_low_rank"), "\(failure)")
        }
    }

    struct Layer: CustomTestStringConvertible {
        var (rows, inputs, outputs) = ([1], 1, 1)
        var testDescription: String { "\(rows) rows, \(inputs) to \(outputs)" }
    }

    static let layers = [
        Layer(rows: [1], inputs: 1, outputs: 1), Layer(rows: [7], inputs: 5, outputs: 3),
        Layer(rows: [2, 97], inputs: 300, outputs: 33), Layer(rows: [3, 5, 64], inputs: 64, outputs: 257),
        Layer(rows: [193], inputs: 1100, outputs: 600), Layer(rows: [2100], inputs: 48, outputs: 40),
        Layer(rows: [0], inputs: 4, outputs: 6), Layer(rows: [71], inputs: 2500, outputs: 83),
    ]

    @Test(arguments: layers, [DType.float32, .bfloat16])
    func `linear layers by blocks are as exact as libtorch's`(layer: Layer, dtype: DType) throws {
        try checkLinear(layer, dtype)
    }

    /// Where the processor has such products.
    func checkLinear(_ l: Layer, _ dtype: DType) throws {
        guard dtype == .float32 || Processor.isFastAtBFloat16 else { return }
        let generator = try Generator(seed: 12)
        let (ours, theirs) = (Operator("cascade::linear_by_blocks"), Operator("aten::linear"))
        // With a bias, without one, and with rows that do not lie together.
        let x = try generator.normal(l.rows + [l.inputs]), weight = try generator.normal([l.outputs, l.inputs])
        let incoming = try generator.normal(l.rows + [l.outputs])
        let turned = try generator.normal(l.rows.dropLast() + [l.outputs, l.rows[l.rows.count - 1]])
        try expectAsExact(
            { try ours(.tensor($0[0]), .tensor($0[1]), .tensor($0[2])) },
            as: { try theirs(.tensor($0[0]), .tensor($0[1]), .tensor($0[2])) },
            [x, weight, generator.normal([l.outputs])], incoming: incoming, in: dtype,
            "\(l.testDescription), \(dtype), bias")
        try expectAsExact(
            { try ours(.tensor($0[0]), .tensor($0[1]), .none) },
            as: { try theirs(.tensor($0[0]), .tensor($0[1]), .none) },
            [x, weight], incoming: turned.transposed(-2, -1), in: dtype, "\(l.testDescription), \(dtype), no bias")
        // A weight that is kept in float32.
        try expectAsExact(
            { try ours(.tensor($0[0]), .tensor($0[1].to(dtype: .float32)), .tensor($0[2].to(dtype: .float32))) },
            as: { try theirs(.tensor($0[0]), .tensor($0[1]), .tensor($0[2])) },
            [x, weight, generator.normal([l.outputs])], incoming: incoming, in: dtype,
            "\(l.testDescription), \(dtype), weight in float32")
    }

    struct Image: CustomTestStringConvertible {
        var (batch, channels, height, width, kernel) = (1, 1, 1, 1, 1)
        var stride = 1
        var testDescription: String {
            "\(batch) x \(channels) x \(height) x \(width), kernels of \(kernel), stride \(stride)"
        }
    }

    static let images = [
        Image(batch: 3, channels: 32, height: 6, width: 6, kernel: 5),
        Image(batch: 2, channels: 7, height: 5, width: 9, kernel: 3),
        Image(batch: 1, channels: 33, height: 1, width: 2, kernel: 7),
        Image(batch: 2, channels: 65, height: 12, width: 3, kernel: 1),
        Image(batch: 2, channels: 48, height: 12, width: 12, kernel: 3, stride: 2),
        Image(batch: 1, channels: 5, height: 7, width: 4, kernel: 5, stride: 3),
        Image(batch: 1, channels: 34, height: 1, width: 1, kernel: 3, stride: 2),
    ]

    @Test(arguments: images, [DType.float32, .bfloat16])
    func `depthwise convolutions are as exact as libtorch's`(image: Image, dtype: DType) throws {
        try checkDepthwise(image, dtype)
    }

    func checkDepthwise(_ i: Image, _ dtype: DType) throws {
        let generator = try Generator(seed: 4)
        func drawn(stride: Int = 1) throws -> Tensor {
            let (height, width) = ((i.height - 1) / stride + 1, (i.width - 1) / stride + 1)
            return try generator.normal([i.batch, height, width, i.channels]).permuted([0, 3, 1, 2])
        }
        let inputs = try [
            drawn(), generator.normal([i.channels, 1, i.kernel, i.kernel]), generator.normal([i.channels]),
        ]
        try expectAsExact(
            { try $0[0].depthwise($0[1], bias: $0[2], stride: i.stride) },
            as: {
                try $0[0].convolved(
                    $0[1], bias: $0[2], stride: i.stride, padding: i.kernel / 2, groups: i.channels)
            },
            inputs, incoming: drawn(stride: i.stride), in: dtype, "\(i.testDescription), \(dtype)")
    }

    struct Positions: CustomTestStringConvertible {
        var (batch, positions, channels) = (1, 1, 1)
        var testDescription: String { "\(batch) x \(positions) positions of \(channels) channels" }
    }

    static let positions = [
        Positions(batch: 2, positions: 36, channels: 48), Positions(batch: 1, positions: 1, channels: 16),
        Positions(batch: 3, positions: 65, channels: 7), Positions(batch: 2, positions: 200, channels: 257),
    ]

    @Test(arguments: positions, [DType.float32, .bfloat16])
    func `GELU with response norm is as exact as libtorch's operators`(positions: Positions, dtype: DType) throws {
        try checkResponseNorm(positions, dtype)
    }

    func checkResponseNorm(_ p: Positions, _ dtype: DType) throws {
        let generator = try Generator(seed: 8)
        func drawn() throws -> Tensor { try generator.normal([p.batch, p.positions, p.channels]) }
        try expectAsExact(
            { try $0[0].geluResponseNorm(gamma: $0[1], beta: $0[2]) },
            as: {
                let active = try $0[0].gelu()
                let gain = try active.squared().sum([1], keepingDimensions: true).sqrt()
                let relative = try gain / (gain.mean([2], keepingDimensions: true) + 1e-6)
                return try active * ($0[1] * relative + 1) + $0[2]
            },
            [drawn(), generator.normal([p.channels]), generator.normal([p.channels])], incoming: drawn(), in: dtype,
            "\(p.testDescription), \(dtype)")
    }

    struct Activations: CustomTestStringConvertible {
        var (batch, channels, height, width, squeezed) = (1, 1, 1, 1, 1)
        var testDescription: String {
            "\(batch) x \(channels) channels of \(height) x \(width), squeezed to \(squeezed)"
        }
    }

    static let activations = [
        Activations(batch: 2, channels: 48, height: 6, width: 6, squeezed: 12),
        Activations(batch: 1, channels: 16, height: 1, width: 1, squeezed: 1),
        Activations(batch: 3, channels: 7, height: 13, width: 5, squeezed: 2),
        Activations(batch: 2, channels: 130, height: 9, width: 40, squeezed: 33),
    ]

    @Test(arguments: activations, [DType.float32, .bfloat16])
    func `SiLU with squeeze and excitation is as exact as libtorch's operators`(activations: Activations, dtype: DType)
        throws
    {
        try checkSqueezeExcitation(activations, dtype)
    }

    func checkSqueezeExcitation(_ i: Activations, _ dtype: DType) throws {
        let generator = try Generator(seed: 9)
        func drawn() throws -> Tensor {
            try generator.normal([i.batch, i.height, i.width, i.channels]).permuted([0, 3, 1, 2])
        }
        func layer(_ inputs: Int, _ outputs: Int) throws -> [Tensor] {
            [try generator.normal([outputs, inputs, 1, 1]), try generator.normal([outputs])]
        }
        func sigmoid(_ x: Tensor) throws -> Tensor { try x.sigmoid() }
        try expectAsExact(
            { try $0[0].siluSqueezeExcitation(squeeze: ($0[1], $0[2]), excite: ($0[3], $0[4])) },
            as: {
                let active = try $0[0] * sigmoid($0[0])
                let small = try active.mean([2, 3], keepingDimensions: true).convolved($0[1], bias: $0[2])
                return try active * sigmoid((small * sigmoid(small)).convolved($0[3], bias: $0[4]))
            },
            [drawn()] + layer(i.channels, i.squeezed) + layer(i.squeezed, i.channels), incoming: drawn(), in: dtype,
            "\(i.testDescription), \(dtype)")
    }

    static let shapes = [[], [0], [1], [3, 5], [2, 7, 129, 41]]

    @Test(arguments: shapes, [DType.float32, .bfloat16])
    func `SiLU is as exact as libtorch's operators`(shape: [Int], dtype: DType) throws { try checkSiLU(shape, dtype) }

    func checkSiLU(_ shape: [Int], _ dtype: DType) throws {
        let generator = try Generator(seed: 10)
        func drawn() throws -> Tensor { try generator.normal(shape) * 6 }
        for transposed in shape.count > 1 ? [false, true] : [false] {
            try expectAsExact(
                { try (transposed ? $0[0].transposed(0, 1) : $0[0]).silu() },
                as: { try transposed ? ($0[0] * $0[0].sigmoid()).transposed(0, 1) : $0[0] * $0[0].sigmoid() },
                [drawn()], incoming: transposed ? drawn().transposed(0, 1) : drawn(), in: dtype,
                "\(shape), \(dtype), transposed \(transposed)")
        }
    }

    @Test(arguments: [DType.float32, .bfloat16])
    func `SiLU of what is no number is none`(dtype: DType) throws {
        let numbers: [Float] = [.nan, .infinity, 200, -200, 0, -1e-30]
        let x = try Tensor(numbers).to(dtype: dtype)
        let y = try x.silu().to(dtype: .float32).values(as: Float.self)
        #expect(y[0].isNaN && y[1] == .infinity && y[2] == 200 && abs(y[3]) < 1e-30 && y[4] == 0 && abs(y[5]) < 1e-30)
    }

    @Test func `frozen weights keep nothing of what they are multiplied with`() throws {
        let kernels = try Tensor.full([32, 1, 3, 3], 1), matrix = try Tensor.full([48, 32], 1)
        for product in [{ try $0.permuted([0, 3, 1, 2]).depthwise(kernels) }, { try $0.linear(matrix) }]
            as [(Tensor) throws -> Tensor]
        {
            let leaf = try Tensor.full([2, 8, 8, 32], 1)
            try leaf.setRequiresGrad(true)
            let x = try leaf * 2
            let y = try product(x)
            // Autograd refuses to go back through what was changed since it was kept.
            try x.assignZero()
            try y.sum().backward()
            #expect(try leaf.gradient() != nil)
        }
    }

    @Test func `a frozen kernel gets no gradient`() throws {
        let x = try Tensor.full([1, 4, 4, 2], 1).permuted([0, 3, 1, 2])
        try x.setRequiresGrad(true)
        let weight = try Tensor.full([2, 1, 3, 3], 1)
        try x.depthwise(weight).sum().backward()
        #expect(try weight.gradient() == nil)
        // Each place gave to itself and to its neighbours: four in a corner, six at a side, nine inside.
        let gradient = try #require(try x.gradient())
        #expect(
            try gradient.sliced(1, 0..<1).values(as: Float.self) == [4, 6, 6, 4, 6, 9, 9, 6, 6, 9, 9, 6, 4, 6, 6, 4])
    }
}
