import Failures
import Glibc
import Layers
import TestSupport
import Testing
import Torch

/// A store of drawn parameters where the tests compute, none of them zero.
private func drawnStore(_ dtype: DType = .float32) throws -> ParameterStore {
    ParameterStore(from: Normal(generator: try Generator(seed: 21)), dtype: dtype, device: try testDevice())
}

/// Draws every parameter from the normal distribution, whatever its layer says.
private struct Normal: ParameterSource {
    let generator: Generator

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor { try generator.normal(shape) }
    func finish() throws {}
}

private func normal(_ shape: [Int], seed: UInt64 = 5, trained: Bool = false) throws -> Tensor {
    let tensor = try Generator(seed: seed).normal(shape, device: testDevice())
    if trained { try tensor.setRequiresGrad(true) }
    return tensor
}

private func gradient(_ leaf: Tensor) throws -> Tensor {
    let gradient = try leaf.gradient()
    return try #require(gradient)
}

@Suite struct LinearTests {
    @Test func `a weight stored as bfloat16 acts as its float32 copy would`() throws {
        let linear = try Linear(.init(6, 4), drawnStore(.bfloat16).root)
        let stored = try #require(linear.weight.plain)
        #expect(stored.dtype == .bfloat16)
        let (x, copy) = (try normal([2, 3, 6], trained: true), try normal([2, 3, 6], trained: true))
        let output = try linear(x)
        let (weight, bias) = (try stored.to(dtype: .float32), try linear.bias?.to(dtype: .float32))
        let expected = try copy.linear(weight, bias: bias)
        #expect(output.dtype == .float32)
        #expect(try largestDifference(output, expected) == 0)

        let incoming = try normal([2, 3, 4], seed: 6)
        try output.backward(incoming)
        try expected.backward(incoming)
        #expect(try largestDifference(gradient(x), gradient(copy)) < 1e-6)
        #expect(try largestDifference(gradient(x), incoming.matmul(weight)) < 1e-6)
        #expect(try stored.gradient() == nil)
        #expect(try linear.bias?.gradient() == nil)
    }

    @Test(arguments: [DType.float32, .bfloat16]) func `a frozen weight gets no gradient and a trained one does`(
        dtype: DType
    ) throws {
        for isConvolution in [false, true] {
            let store = try drawnStore(dtype)
            let linear = try Linear(.init(6, 4, storedAsConvolution: isConvolution), store.root)
            let weight = try #require(linear.weight.plain)
            #expect(weight.shape == (isConvolution ? [4, 6, 1, 1] : [4, 6]))
            let x = try normal([5, 6], trained: true)
            try linear(x).sum().backward()
            #expect(try weight.gradient() == nil)

            try store.setTrainable(true)
            try linear(x).sum().backward()
            // Every row of the weight sees the sum of the inputs, every element of the bias their number.
            let sum = try x.detached().sum([0], keepingDimensions: true).expanded([4, 6]).reshaped(weight.shape)
            let ours = try gradient(weight).to(dtype: .float32)
            #expect(try largestDifference(ours, sum) < (dtype == .float32 ? 1e-5 : 0.03))
            #expect(try gradient(#require(linear.bias)).values(as: Float.self) == [5, 5, 5, 5])
        }
    }

    /// Doubles what it is given, through a matrix of its own.
    private final class Doubled: ProjectionAdapter {
        let weight: Tensor
        init(_ weight: Tensor) { self.weight = weight }
        func callAsFunction(_ pass: ProjectionPass) throws -> Tensor { try pass.output + pass.input.linear(weight) * 2 }
    }

    @Test func `what is attached adds itself`() throws {
        let linear = try Linear(.init(6, 4), drawnStore().root)
        let x = try normal([5, 6])
        let before = try linear(x)
        let delta = try normal([4, 6], seed: 9)
        let addition = Doubled(delta)
        linear.projection.attach(addition)
        #expect((linear.projection.inputs, linear.projection.outputs) == (6, 4))
        #expect(try largestDifference(linear(x), before + x.linear(delta) * 2) < 1e-6)
        linear.projection.detach(addition)
        #expect(try largestDifference(linear(x), before) == 0)
    }
}

@Suite struct AttentionTests {
    /// softmax(q·kᵀ / √d)·v by head, written out.
    private func explicit(
        _ store: ParameterStore, _ x: Tensor, _ context: Tensor, heads: Int, includingSelf: Bool
    ) throws -> Tensor {
        let width = x.size(2)
        let (weight, bias) = try (#require(store["in_proj_weight"]), #require(store["in_proj_bias"]))
        func project(_ input: Tensor, _ third: Int) throws -> Tensor {
            let rows = third * width..<(third + 1) * width
            let projected = try input.matmul(weight.sliced(0, rows).transposed(0, 1)) + bias.sliced(0, rows)
            return try projected.reshaped([input.size(0), -1, heads, width / heads]).permuted([0, 2, 1, 3])
        }
        let keys = includingSelf ? try Tensor.concatenated([x, context], dimension: 1) : context
        let (q, k, v) = try (project(x, 0), project(keys, 1), project(keys, 2))
        let scores = try q.matmul(k.transposed(2, 3)) / sqrt(Double(width / heads))
        let attended = try scores.softmax(-1).matmul(v).permuted([0, 2, 1, 3]).reshaped(x.shape)
        return try attended.linear(#require(store["out_proj.weight"]), bias: store["out_proj.bias"])
    }

    @Test(arguments: [true, false], [1, 4]) func `attention is the softmax written out`(
        includingSelf: Bool, heads: Int
    ) throws {
        let store = try drawnStore()
        let attention = try Attention(width: 8, heads: heads, store.root)
        let (x, context) = try (normal([2, 5, 8], trained: true), normal([2, 3, 8], seed: 6, trained: true))
        let output = try attention(
            x, condition: attention.keysAndValues(of: context), includingSelf: includingSelf)
        let expected = try explicit(store, x, context, heads: heads, includingSelf: includingSelf)
        #expect(output.shape == [2, 5, 8])
        #expect(try largestDifference(output, expected) < 1e-4)

        let incoming = try normal([2, 5, 8], seed: 7)
        try output.backward(incoming)
        let ours = try [gradient(x), gradient(context)]
        for leaf in [x, context] { try leaf.setGradient(nil) }
        try expected.backward(incoming)
        for (ours, theirs) in try zip(ours, [gradient(x), gradient(context)]) {
            let scale = try theirs.abs().values(as: Double.self).max() ?? 1
            #expect(try largestDifference(ours, theirs) < 1e-4 * scale)
        }
    }

    @Test func `adapters see four projections, each with its third of the weight`() throws {
        let store = try drawnStore()
        let attention = try Attention(width: 8, heads: 2, store.root("attn"))
        #expect(store.projections.map(\.path) == ["attn.to_q", "attn.to_k", "attn.to_v", "attn.out_proj"])
        for (third, projection) in store.projections.prefix(3).enumerated() {
            let rows = try #require(attention.inWeight.plain).sliced(0, third * 8..<(third + 1) * 8)
            #expect(try largestDifference(#require(projection.projection.weight.plain), rows) == 0)
        }
    }
}

@Suite struct NormTests {
    @Test func `global response norm is its formula`() throws {
        let store = try drawnStore()
        let norm = try GlobalResponseNorm(3, store.root)
        let x = try normal([2, 4, 5, 3])
        let values = try x.values(as: Double.self).map { $0 * 0.5 * (1 + erf($0 / sqrt(2))) }
        let (gamma, beta) = try (norm.gamma.values(as: Double.self), norm.beta.values(as: Double.self))
        var expected = values
        for sample in 0..<2 {
            let places = (0..<20).map { (sample * 20 + $0) * 3 }
            let gains = (0..<3).map { channel in
                places.reduce(0) { $0 + values[$1 + channel] * values[$1 + channel] }.squareRoot()
            }
            let mean = gains.reduce(0, +) / 3
            for place in places {
                for channel in 0..<3 {
                    let value = values[place + channel]
                    expected[place + channel] =
                        gamma[channel] * value * gains[channel] / (mean + 1e-6) + beta[channel] + value
                }
            }
        }
        #expect(try largestDifference(norm.afterGELU(x), Tensor(expected, shape: x.shape)) < 1e-5)
        // Sums of squares are kept in float32 where activations are bfloat16.
        let narrow = try norm.afterGELU(x.to(dtype: .bfloat16))
        #expect(narrow.dtype == .bfloat16)
        #expect(try largestDifference(narrow, Tensor(expected, shape: x.shape)) < 0.1)
    }

    /// Widths around those of vectors, parameters in the activations' type and not, trained and frozen.
    @Test(
        arguments: [1, 7, 16, 37, 130],
        [(DType.float32, true), (.float32, false), (.bfloat16, true), (.bfloat16, false)])
    func `gradients through GELU and response norm are autograd's`(
        width: Int, parameters: (stored: DType, areTrained: Bool)
    ) throws {
        let (stored, areTrained) = parameters
        let store = try drawnStore(stored)
        let norm = try GlobalResponseNorm(width, store.root)
        try store.setTrainable(areTrained)
        let (x, copy) = (
            try normal([2, 3, 5, width], trained: true), try normal([2, 3, 5, width], trained: true)
        )
        let output = try norm.afterGELU(x)

        let (gamma, beta) = (
            try norm.gamma.detached().to(dtype: .float32), try norm.beta.detached().to(dtype: .float32)
        )
        for leaf in [gamma, beta] { try leaf.setRequiresGrad(true) }
        let activated = try copy.gelu()
        let gain = try activated.norm([1, 2], keepingDimensions: true)
        let relative = try gain / (gain.mean([-1], keepingDimensions: true) + 1e-6)
        let expected = try activated * (gamma * relative + 1) + beta
        #expect(try largestDifference(output, expected) < 1e-5)

        let incoming = try normal([2, 3, 5, width], seed: 8)
        try output.backward(incoming)
        try expected.backward(incoming)
        func expectClose(_ ours: Tensor, _ theirs: Tensor, _ bar: Double, _ what: Comment) throws {
            let scale = try max(1, theirs.abs().values(as: Double.self).max() ?? 0)
            #expect(try largestDifference(ours.reshaped(theirs.shape), theirs) < bar * scale, what)
        }
        try expectClose(gradient(x), gradient(copy), 1e-5, "x")
        for (ours, theirs, name) in [(norm.gamma, gamma, Comment("gamma")), (norm.beta, beta, "beta")] {
            guard areTrained else {
                #expect(try ours.gradient() == nil, name)
                continue
            }
            try expectClose(gradient(ours), gradient(theirs), stored == .float32 ? 1e-5 : 0.01, name)
        }
    }

    @Test func `batch norm uses what it measured`() throws {
        let store = try drawnStore()
        let norm = try BatchNorm(3, affine: false, epsilon: 0, store.root)
        #expect(store.entries.map(\.key) == ["running_mean", "running_var"])
        try norm.variance.assign(.full([3], 4, device: norm.variance.device))
        try norm.mean.assign(.full([3], 1, device: norm.mean.device))
        let x = try normal([4, 3, 5, 6]) * 3 + 2
        #expect(try largestDifference(norm(x), (x - 1) / 2) < 1e-6)
        #expect(try norm.mean.values(as: Float.self) == [1, 1, 1])  // not measured, not moved

        norm.isMeasuring = true
        let measured = try norm(x)
        norm.isMeasuring = false
        #expect(try largestDifference(measured.mean([0, 2, 3]), .zeros([3])) < 1e-5)
        #expect(try largestDifference(measured.variance([0, 2, 3], correction: 0), .full([3], 1)) < 1e-4)
        #expect(try largestDifference(norm.mean, x.mean([0, 2, 3])) < 1e-5)
        #expect(try largestDifference(norm(x), measured) == 0)
    }

    @Test(arguments: ["norm", "plain"]) func `a batch norm that trains is torch's`(layer: String) throws {
        let golden = try Golden("batch_norm")
        let store = ParameterStore(from: golden.parameters("start.\(layer)"), device: try testDevice())
        let norm = try BatchNorm(3, affine: layer == "norm", epsilon: 1e-3, store.root)
        try store.finish()
        try store.setTrainable(true)
        norm.isTraining = true
        func expected(_ key: String) throws -> Tensor { try #require(golden.tensors[key]).made() }
        for number in 1...2 {
            let x = try expected("\(number).x").to(device: testDevice())
            try x.setRequiresGrad(true)
            let y = try norm(x)
            try y.backward(expected("\(number).incoming").to(device: testDevice()))
            let of = "\(number).\(layer)"
            #expect(try largestDifference(y, expected("\(of).y")) < 1e-5)
            #expect(try largestDifference(gradient(x), expected("\(of).gradient.x")) < 1e-5)
            for (parameter, key) in [(norm.weight, "weight"), (norm.bias, "bias")] {
                guard let parameter else { continue }
                #expect(try largestDifference(gradient(parameter), expected("\(of).gradient.\(key)")) < 1e-4)
                try parameter.setGradient(nil)
            }
            #expect(try largestDifference(norm.mean, expected("\(of).running_mean")) < 1e-6)
            #expect(try largestDifference(norm.variance, expected("\(of).running_var")) < 1e-5)
        }
        norm.isTraining = false
        guard layer == "norm" else { return }
        #expect(try largestDifference(norm(expected("1.x").to(device: testDevice())), expected("eval.y")) < 1e-5)
    }

    @Test func `a batch norm that trains works in bfloat16, its statistics in float32`() throws {
        for affine in [true, false] {
            let store = try drawnStore(.bfloat16)
            let norm = try BatchNorm(3, affine: affine, epsilon: 1e-3, store.root)
            norm.isTraining = true
            let x = try (normal([4, 3, 5, 6]) * 3 + 2).to(dtype: .bfloat16)
            let before = try norm.mean.cloned()
            let y = try norm(x)
            #expect(y.dtype == .bfloat16 && norm.mean.dtype == .float32)
            let moved = try before * 0.9 + x.to(dtype: .float32).mean([0, 2, 3]) * 0.1
            #expect(try largestDifference(norm.mean, moved) < 1e-4)
        }
    }

    @Test func `a batch norm refuses to train on a single value`() throws {
        let norm = try BatchNorm(3, epsilon: 1e-3, drawnStore().root)
        norm.isTraining = true
        let failure = try expectedFailure { _ = try norm(.zeros([1, 3, 1, 1], device: testDevice())) }
        #expect(failure.what.contains("batch norm") && failure.got == "[1, 3, 1, 1]")
    }

    @Test func `a channel that never varies does not divide by zero`() throws {
        let norm = try BatchNorm(1, epsilon: 0, drawnStore().root)
        norm.isMeasuring = true
        #expect(try norm(.full([2, 1, 3, 3], 7, device: testDevice())).isAllFinite())
    }
}

@Suite struct ConvolutionTests {
    @Test func `a 1x1 convolution is a linear layer, a depthwise one a sum over its kernel`() throws {
        let store = try drawnStore()
        let x = try normal([2, 3, 4, 5])
        let pointwise = try Convolution(.init(3, 2, kernel: 1), store.root("a"))
        let rows = try x.permuted([0, 2, 3, 1]).linear(pointwise.weight.reshaped([2, 3]), bias: pointwise.bias)
        #expect(try largestDifference(pointwise(x), rows.permuted([0, 3, 1, 2])) < 1e-5)

        var configuration = Convolution.Configuration(3, 3, kernel: 3)
        (configuration.groups, configuration.padding, configuration.bias) = (3, 1, false)
        let depthwise = try Convolution(configuration, store.root("b"))
        #expect(depthwise.weight.shape == [3, 1, 3, 3])
        let padded = try x.padded([1, 1, 1, 1])
        var expected = try Tensor.zeros(x.shape, device: testDevice())
        for row in 0..<3 {
            for column in 0..<3 {
                let tap = try depthwise.weight.selected(3, column).selected(2, row).reshaped([1, 3, 1, 1])
                expected = try expected + padded.sliced(2, row..<row + 4).sliced(3, column..<column + 5) * tap
            }
        }
        #expect(try largestDifference(depthwise(x), expected) < 1e-5)
    }

    @Test func `a transposed convolution turns its weight's channels round`() throws {
        var configuration = Convolution.Configuration(3, 2, kernel: 2)
        (configuration.transposed, configuration.stride) = (true, 2)
        let convolution = try Convolution(configuration, drawnStore(.bfloat16).root)
        #expect(convolution.weight.shape == [3, 2, 2, 2])
        let output = try convolution(normal([1, 3, 4, 5]))
        #expect(output.shape == [1, 2, 8, 10])
        #expect(output.dtype == .float32)
    }
}
