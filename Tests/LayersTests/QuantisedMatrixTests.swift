import Failures
import Layers
import TestSupport
import Testing
import Torch
import Weights

private let forms: [BaseDType] = [.int8, .nf4]

private func normal(_ shape: [Int], seed: UInt64 = 5) throws -> Tensor { try Generator(seed: seed).normal(shape) }

/// The root mean square of a difference over that of what is expected.
private func relativeError(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
    let difference = try ours.to(dtype: .float32) - theirs.to(dtype: .float32)
    return try difference.norm().item() / theirs.to(dtype: .float32).norm().item()
}

@Suite struct QuantisedMatrixTests {
    @Test(arguments: ["normal", "bfloat16", "rows"]) func `codes and scales are bitsandbytes' own`(name: String) throws
    {
        let golden = try Golden("quantised").part(name)
        func expected(_ key: String) throws -> Tensor { try #require(golden[key]).made() }
        let matrix = try expected("matrix").to(dtype: name == "bfloat16" ? .bfloat16 : .float32)

        let rows = try QuantisedMatrix(matrix, as: .int8, name: "w").pieces
        #expect(rows.map(\.ending) == ["", ".scales"])
        #expect(rows[0].tensor.dtype == .int8)
        #expect(try rows[0].tensor.values(as: Float.self) == expected("int8.codes").values(as: Float.self))
        #expect(try rows[1].tensor.values(as: Float.self) == expected("int8.scales").values(as: Float.self))

        let quantised = try QuantisedMatrix(matrix, as: .nf4, name: "w")
        let blocks = quantised.pieces
        #expect(blocks.map(\.ending) == ["", ".scales", ".scales.scales", ".scales.mean"])
        #expect(blocks[0].tensor.dtype == .uint8)
        #expect(try blocks[0].tensor.values(as: Float.self) == expected("nf4.codes").values(as: Float.self))
        #expect(try blocks[1].tensor.values(as: Float.self) == expected("nf4.magnitudes").values(as: Float.self))
        // The mean is summed in another order there.
        let size = try expected("nf4.scales").abs().values(as: Double.self).max() ?? 1
        #expect(try largestDifference(blocks[2].tensor, expected("nf4.scales")) < 1e-6 * size)
        #expect(try largestDifference(blocks[3].tensor, expected("nf4.mean")) < 1e-6 * size)
        #expect(try largestDifference(quantised.expanded(to: .float32), expected("nf4.values")) < 3e-6 * size)
    }

    @Test(arguments: forms, [DType.float32, .bfloat16]) func `kernels and libtorch's operators expand the same numbers`(
        form: BaseDType, dtype: DType
    ) throws {
        let matrix = try QuantisedMatrix(normal([150, 192]), as: form, name: "w")
        let whole = try matrix.expanded(to: dtype)
        #expect(whole.dtype == dtype && whole.shape == [150, 192])
        #expect(try largestDifference(whole, matrix.expanded(to: dtype, isFused: false)) == 0)
        // Rows that begin amid a group of magnitudes, and rows of rows.
        let part = matrix.rows(30..<140).rows(7..<20)
        #expect((part.outputs, part.inputs) == (13, 192))
        #expect(try largestDifference(part.expanded(to: dtype), whole.sliced(0, 37..<50)) == 0)
        #expect(try largestDifference(part.expanded(to: dtype, isFused: false), whole.sliced(0, 37..<50)) == 0)
    }

    @Test(arguments: [(BaseDType.int8, 0.009, 8.1), (.nf4, 0.095, 4.13)]) func `a product is as near as its bits allow`(
        form: BaseDType, bar: Double, bits: Double
    ) throws {
        let (weight, x) = (try normal([640, 2048]), try normal([48, 2048], seed: 6))
        let matrix = try QuantisedMatrix(weight, as: form, name: "w")
        let exact = try x.linear(weight)
        let error = try relativeError(x.mixedLinear(.quantised(matrix), bias: nil), exact)
        #expect(error < bar && error > bar / 3, "\(error)")
        let rounded = try relativeError(x.to(dtype: .bfloat16).mixedLinear(.quantised(matrix), bias: nil), exact)
        #expect(rounded < bar * 1.05, "\(rounded)")
        #expect(Double(8 * matrix.byteCount) / Double(weight.count) < bits)
    }

    @Test(arguments: forms, [DType.float32, .bfloat16])
    func `a product takes a large matrix in parts, and makes what the whole makes`(
        form: BaseDType, dtype: DType
    ) throws {
        // Neither its rows nor its columns are a whole number of parts.
        let matrix = try QuantisedMatrix(normal([1200, 2048]), as: form, name: "w").rows(50..<1200)
        let whole = try matrix.expanded(to: dtype)
        let bias = try normal([1150], seed: 7).to(dtype: dtype)
        let x = try normal([2, 3, 2048], seed: 6).to(dtype: dtype)
        let y = try normal([2, 3, 1150], seed: 8).to(dtype: dtype)
        let bar = dtype == .float32 ? 1e-6 : 2e-3
        for isFused in [true, false] {
            let product = try matrix.multiplied(x, bias: bias, isFused: isFused)
            #expect(product.shape == [2, 3, 1150] && product.dtype == dtype)
            #expect(try relativeError(product, x.linear(whole, bias: bias)) < bar)
            let transposed = try matrix.multiplied(y, isTransposed: true, isFused: isFused)
            #expect(transposed.shape == [2, 3, 2048] && transposed.dtype == dtype)
            #expect(try relativeError(transposed, y.matmul(whole)) < bar)
        }
    }

    @Test(arguments: forms) func `a product's gradient is that of the expanded matrix, which nothing keeps`(
        form: BaseDType
    ) throws {
        let matrix = try QuantisedMatrix(normal([96, 64]), as: form, name: "w")
        let bias = try normal([96], seed: 8)
        let (x, copy) = (try normal([3, 5, 64], seed: 6), try normal([3, 5, 64], seed: 6))
        for leaf in [x, copy] { try leaf.setRequiresGrad(true) }
        let ours = try x.mixedLinear(.quantised(matrix), bias: bias)
        let theirs = try copy.linear(matrix.expanded(to: .float32), bias: bias)
        #expect(try largestDifference(ours, theirs) == 0)
        let incoming = try normal([3, 5, 96], seed: 7)
        try ours.backward(incoming)
        try theirs.backward(incoming)
        let (found, expected) = (try x.gradient(), try copy.gradient())
        #expect(try largestDifference(#require(found), #require(expected)) < 1e-5)
    }

    @Test(arguments: forms) func `attention's thirds are rows of one quantised matrix`(form: BaseDType) throws {
        func attention(_ matrices: MatrixStorage?) throws -> (attention: Attention, store: ParameterStore) {
            let source = DrawnParameters(try Generator(seed: 3))
            let store = ParameterStore(from: source, matrices: matrices)
            return (try Attention(width: 64, heads: 2, store.root), store)
        }
        let (plain, _) = try attention(nil)
        let (quantised, store) = try attention(MatrixStorage(form) { _ in true })
        #expect(store.quantised.map(\.key) == ["in_proj_weight", "out_proj.weight"])
        #expect(store.entries.map(\.key) == ["in_proj_bias", "out_proj.bias"])
        #expect(store.size.count == 4 * 64 * 64 + 4 * 64)
        let whole = try quantised.inWeight.expanded(to: .float32)
        for (index, (_, projection)) in store.projections.prefix(3).enumerated() {
            let rows = try whole.sliced(0, index * 64..<(index + 1) * 64)
            #expect(try largestDifference(projection.weight.expanded(to: .float32), rows) == 0)
        }
        let (x, context) = (try normal([2, 5, 64]), try normal([2, 3, 64], seed: 6))
        for includingSelf in [true, false] {
            let made = try [quantised, plain].map { attention in
                try attention(x, condition: attention.keysAndValues(of: context), includingSelf: includingSelf)
            }
            let error = try relativeError(made[0], made[1])
            #expect(error < (form == .int8 ? 0.03 : 0.3) && error > 0)
        }
    }

    @Test func `small matrices, odd ones and kernels are left alone`() throws {
        #expect(BaseDType.takes([64, 64]) && BaseDType.takes([128, 64, 1, 1]))
        for shape in [[32, 64], [128, 96], [4096], [64, 64, 3, 3], [4096, 1, 3, 3], [1, 1, 1, 4096], [64, 0]] {
            #expect(!BaseDType.takes(shape), "\(shape)")
        }
        let source = DrawnParameters(try Generator(seed: 3))
        let store = ParameterStore(from: source, matrices: MatrixStorage(.nf4) { $0.hasPrefix("blocks.") })
        for (name, width) in [("blocks", 64), ("ends", 64), ("blocks", 48)] {
            _ = try Linear(.init(width, 96), store.root(name)(width))
        }
        #expect(store.quantised.map(\.key) == ["blocks.64.weight"])
        #expect(store["ends.64.weight"]?.dtype == .float32)
    }

    @Test func `bfloat16 as the base's dtype leaves the rest as it is`() throws {
        let source = DrawnParameters(try Generator(seed: 3))
        let store = ParameterStore(from: source, matrices: MatrixStorage(.bfloat16) { _ in true })
        let linear = try Linear(.init(64, 96), store.root)
        #expect(linear.weight.plain?.dtype == .bfloat16 && linear.bias?.dtype == .float32)
    }

    @Test(arguments: forms, [Float.nan, .infinity]) func `numbers that are none are refused by name`(
        form: BaseDType, value: Float
    ) throws {
        var numbers = [Float](repeating: 0.5, count: 64 * 64)
        numbers[100] = value
        let matrix = try Tensor(numbers, shape: [64, 64])
        let failure = try expectedFailure { _ = try QuantisedMatrix(matrix, as: form, name: "down_blocks.0.weight") }
        #expect(failure.blame == .input && failure.what.contains("down_blocks.0.weight"))
    }

    @Test(arguments: forms) func `what a file holds of a matrix comes back, and what does not fit is named`(
        form: BaseDType
    ) throws {
        let matrix = try QuantisedMatrix(normal([64, 64]), as: form, name: "w")
        let scratch = try Scratch()
        func read(_ tensors: [(name: String, tensor: Tensor)]) throws -> Matrix {
            try SafetensorsWriter.write(tensors, to: scratch["w.safetensors"])
            let store = ParameterStore(from: StoredParameters(try SafetensorsFile(scratch["w.safetensors"])))
            let weight = try Linear(.init(64, 64, bias: false), store.root).weight
            try store.finish()
            return weight
        }
        let stored = matrix.pieces.map { ("weight" + $0.ending, $0.tensor) }
        #expect(try largestDifference(read(stored).expanded(to: .float32), matrix.expanded(to: .float32)) == 0)

        let short = try stored.map { ($0.0, $0.0 == "weight" ? try $0.1.sliced(0, 0..<32).contiguous() : $0.1) }
        for (tensors, text) in [
            (short, "[32,"), (stored + [("weight.other", try normal([2]))], "weight.other"),
            (try stored.map { ($0.0, $0.0 == "weight.scales" ? try $0.1.to(dtype: .float64) : $0.1) }, "float64"),
            (form == .nf4 ? stored.filter { $0.0 != "weight.scales.mean" } : short, form == .nf4 ? "mean" : "[32,"),
        ] {
            let failure = try expectedFailure { _ = try read(tensors) }
            #expect(failure.blame == .input && failure.what.contains(text), "\(failure)")
        }
    }
}
