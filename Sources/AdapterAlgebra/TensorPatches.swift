import AdapterKit
import Failures
import LinearAlgebra
import Torch
import Weights

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

    var products: [Product] = []
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
        let products = try products.map { product in
            (
                rows: product.rows, scale: product.scale, up: try Matrix(product.up), down: try Matrix(product.down)
            )
        }
        let step = max(1, Self.workingSet / max(width, 1))
        for start in stride(from: 0, to: height, by: step) {
            let rows = start..<min(start + step, height)
            // A float32 tensor is a view of the file, which stays as it is.
            let stored = try matrix.sliced(0, rows)
            let sum = try dtype == .float32 ? stored.cloned() : stored.to(dtype: .float32)  // [rows, n]
            try sum.withMutableBytes { bytes in
                let numbers = bytes.bindMemory(to: Float.self)
                guard let base = numbers.baseAddress else { return }
                for product in products {
                    let common = product.rows.clamped(to: rows)
                    guard !common.isEmpty else { continue }
                    try product.up.withRows(common.lowerBound - product.rows.lowerBound, common.count) { up in
                        try product.down.withFactor { down in
                            try multiply(
                                up, down, scale: product.scale,
                                addingTo: base + (common.lowerBound - rows.lowerBound) * width)
                        }
                    }
                }
                for row in rows {
                    guard let added = additions[row] else { continue }
                    for (column, value) in added.enumerated() {
                        numbers[(row - rows.lowerBound) * width + column] += value
                    }
                }
            }
            try Self.rounded(sum, dtype).withBytes(yield)
        }
        for row in appended { try Self.rounded(Tensor(row), dtype).withBytes(yield) }
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
