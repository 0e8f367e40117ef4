import COpenBLAS

/// A matrix in somebody's memory as a factor of a product: rows without gaps, perhaps read as its transpose.
public struct Factor {
    fileprivate let values: UnsafePointer<Float>
    private let storedRows: Int
    private let storedColumns: Int
    fileprivate let isTransposed: Bool

    /// - Parameters:
    ///   - values: [rows, columns], alive as long as the factor is used.
    ///   - isTransposed: the product takes the transpose, [columns, rows].
    public init(_ values: UnsafePointer<Float>, rows: Int, columns: Int, isTransposed: Bool = false) {
        self.values = values
        storedRows = rows
        storedColumns = columns
        self.isTransposed = isTransposed
    }

    /// Of what the product takes.
    public var rows: Int { isTransposed ? storedColumns : storedRows }
    /// Of what the product takes; those of the left factor are the right one's rows.
    public var columns: Int { isTransposed ? storedRows : storedColumns }
    fileprivate var stride: Int { storedColumns }
}

/// `result = scale · a · b + keeping · result`, result [a.rows, b.columns] without gaps.
/// - Throws: where OpenBLAS cannot be loaded or a size is past what it counts.
public func multiply(
    _ a: Factor, _ b: Factor, scale: Float = 1, addingTo result: UnsafeMutablePointer<Float>, keeping: Float = 1
) throws {
    precondition(a.columns == b.rows, "a product of matrices that do not fit")
    let (m, n, k) = try (OpenBLAS.size(a.rows), OpenBLAS.size(b.columns), OpenBLAS.size(a.columns))
    func operand(_ factor: Factor) throws -> copenblas_factor {
        try .init(
            values: factor.values, stride: OpenBLAS.size(factor.stride), transposed: factor.isTransposed ? 1 : 0)
    }
    let (left, right) = try (operand(a), operand(b))
    try OpenBLAS.check { copenblas_gemm(m, n, k, scale, left, right, keeping, result, n, $0, $1) }
}

extension Matrix {
    /// `self · other`, either of them transposed first where that is asked for.
    public func times(_ other: Matrix, transposed: Bool = false, otherTransposed: Bool = false) throws -> Matrix {
        var product = Matrix(
            zeros: transposed ? columns : rows, otherTransposed ? other.rows : other.columns)
        try withFactor(transposed: transposed) { a in
            try other.withFactor(transposed: otherTransposed) { b in
                try product.values.withUnsafeMutableBufferPointer {
                    guard let start = $0.baseAddress else { return }
                    try multiply(a, b, addingTo: start, keeping: 0)
                }
            }
        }
        return product
    }

    /// Runs `body` on this matrix as a factor, which lives no longer.
    public func withFactor<Result>(
        transposed: Bool = false, _ body: (Factor) throws -> Result
    ) rethrows -> Result {
        try values.withUnsafeBufferPointer { values in
            // A matrix has at least one number, so there is an address.
            guard let start = values.baseAddress else { preconditionFailure("a matrix without numbers") }
            return try body(Factor(start, rows: rows, columns: columns, isTransposed: transposed))
        }
    }
}
