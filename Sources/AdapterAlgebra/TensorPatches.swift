import Failures
import LinearAlgebra
import Torch

/// What all adapters together do to one stored tensor.
struct TensorPatches {
    /// A product of thin matrices, added to some rows.
    struct Product {
        /// [k, r] for the k rows, in any dtype.
        let up: Tensor
        /// [r, n], in any dtype.
        let down: Tensor
        let scale: Float
        /// Of the stored tensor.
        let rows: Range<Int>
    }

    /// Anything else that an adapter makes of some rows.
    struct Rewrite {
        /// Of the stored tensor; of a transposed one, its columns.
        let rows: Range<Int>
        /// Whether the stored tensor is the transpose of the one that `change` takes rows of.
        let isTransposed: Bool
        /// The changed rows, [k, n], float32, of rows as they were and their places among `rows`.
        let change: (_ weight: Tensor, _ changed: Range<Int>) throws -> Tensor
    }

    enum Step {
        case product(Product)
        case rewrite(Rewrite)
    }

    /// What is done to the tensor, in this order.
    var steps: [Step] = []
    /// What is added to single rows, by row.
    var additions: [Int: [Float]] = [:]
    /// New rows behind the last.
    var appended: [[Float]] = []

    /// Float32 numbers worked on at a time: few enough to stay in the processor's caches.
    private static let workingSet = 1 << 19

    /// Yields the patched tensor in its own dtype, some rows at a time.
    ///
    /// The sums are taken in float32 and rounded once.
    func apply(to tensor: Tensor, _ yield: (UnsafeRawBufferPointer) throws -> Void) throws {
        let dtype = tensor.dtype
        let height = tensor.size(0)
        let width = tensor.count / max(height, 1)
        let matrix = try tensor.reshaped([height, width])
        let steps = try steps.map(Prepared.init)
        // Of a transposed tensor rows are changed that its columns hold, so that it is worked on as a whole.
        let isWhole = steps.contains { if case .rewrite(let rewrite) = $0 { rewrite.isTransposed } else { false } }
        let step = isWhole ? max(height, 1) : max(1, Self.workingSet / max(width, 1))
        for start in stride(from: 0, to: height, by: step) {
            let rows = start..<min(start + step, height)
            // A float32 tensor is a view of the file, which stays as it is.
            let stored = try matrix.sliced(0, rows)
            let sum = try dtype == .float32 ? stored.cloned() : stored.to(dtype: .float32)  // [rows, n]
            for step in steps {
                switch step {
                case .product(let product): try product.add(to: sum, rows)
                case .rewrite(let rewrite): try rewrite.apply(to: sum, rows)
                }
            }
            try add(additionsTo: sum, rows)
            try Self.rounded(sum, dtype).withBytes(yield)
        }
        for row in appended { try Self.rounded(Tensor(row), dtype).withBytes(yield) }
    }

    private func add(additionsTo sum: Tensor, _ rows: Range<Int>) throws {
        guard !additions.isEmpty else { return }
        let width = sum.size(1)
        sum.withMutableBytes { bytes in
            let numbers = bytes.bindMemory(to: Float.self)
            for row in rows {
                for (column, value) in (additions[row] ?? []).enumerated() {
                    numbers[(row - rows.lowerBound) * width + column] += value
                }
            }
        }
    }

    /// A step with its factors at hand.
    private enum Prepared {
        case product(PreparedProduct)
        case rewrite(Rewrite)

        init(_ step: Step) throws {
            switch step {
            case .product(let product): self = .product(try PreparedProduct(product))
            case .rewrite(let rewrite): self = .rewrite(rewrite)
            }
        }
    }

    private struct PreparedProduct {
        let rows: Range<Int>
        let scale: Float
        let up: Matrix
        let down: Matrix

        init(_ product: Product) throws {
            rows = product.rows
            scale = product.scale
            (up, down) = try (Matrix(product.up), Matrix(product.down))
        }

        /// - Parameter sum: the tensor's rows `range`, [rows, n], float32.
        func add(to sum: Tensor, _ range: Range<Int>) throws {
            let common = rows.clamped(to: range)
            guard !common.isEmpty else { return }
            let width = sum.size(1)
            try sum.withMutableBytes { bytes in
                guard let base = bytes.bindMemory(to: Float.self).baseAddress else { return }
                try up.withRows(common.lowerBound - rows.lowerBound, common.count) { up in
                    try down.withFactor { down in
                        try multiply(
                            up, down, scale: scale, addingTo: base + (common.lowerBound - range.lowerBound) * width)
                    }
                }
            }
        }
    }

    /// - Throws: a failure of the input where a number is too large for a dtype of small range.
    private static func rounded(_ sum: Tensor, _ dtype: DType) throws -> Tensor {
        let rounded = try sum.to(dtype: dtype)
        guard [.float16, .float8e4m3, .float8e5m2].contains(dtype) else { return rounded }
        guard try rounded.to(dtype: .float32).isAllFinite() else {
            throw Failure.input(
                "a merged weight is too large for the dtype that the base is stored in", got: "\(dtype)",
                advice: "merge into a bfloat16 or float32 base, or give the adapter a smaller weight")
        }
        return rounded
    }
}

extension TensorPatches.Rewrite {
    /// - Parameter sum: the tensor's rows `range`, [rows, n], float32; all of them where it is transposed.
    fileprivate func apply(to sum: Tensor, _ range: Range<Int>) throws {
        let matrix = isTransposed ? try sum.transposed(0, 1) : sum
        let common = isTransposed ? rows : rows.clamped(to: range)
        guard !common.isEmpty else { return }
        let first = isTransposed ? 0 : range.lowerBound
        let target = try matrix.sliced(0, common.lowerBound - first..<common.upperBound - first)
        let changed = common.lowerBound - rows.lowerBound..<common.upperBound - rows.lowerBound
        try target.assign(change(target, changed))
    }
}

extension Matrix {
    /// The numbers of a tensor of two dimensions, as float32.
    init(_ tensor: Tensor) throws {
        self.init(try tensor.values(as: Float.self), rows: tensor.size(0), columns: tensor.size(1))
    }

    /// Runs `body` on some rows as a factor.
    fileprivate func withRows(_ first: Int, _ count: Int, _ body: (Factor) throws -> Void) throws {
        try values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            try body(Factor(base + first * columns, rows: count, columns: columns))
        }
    }

    /// These numbers as a tensor.
    func tensor() throws -> Tensor { try Tensor(values, shape: [rows, columns]) }
}
