import COpenBLAS

extension Matrix {
    /// The thin QR decomposition: q [rows, columns] with orthonormal columns, r [columns, columns] upper triangular.
    /// - Precondition: at least as many rows as columns.
    public func qr() throws -> (q: Matrix, r: Matrix) {
        precondition(rows >= columns, "a thin QR decomposition of a wide matrix")
        var (q, r) = (self, Matrix(zeros: columns, columns))
        let (m, n) = try (OpenBLAS.size(rows), OpenBLAS.size(columns))
        try OpenBLAS.check { copenblas_qr(m, n, &q.values, &r.values, $0, $1) }
        return (q, r)
    }

    /// The singular value decomposition, all of it.
    public func svd() throws -> SingularValues {
        let rank = min(rows, columns)
        var (u, vt) = (Matrix(zeros: rows, rank), Matrix(zeros: rank, columns))
        var s = [Float](repeating: 0, count: rank)
        let (m, n) = try (OpenBLAS.size(rows), OpenBLAS.size(columns))
        try OpenBLAS.check { copenblas_svd(m, n, values, &u.values, &s, &vt.values, $0, $1) }
        return SingularValues(left: u, values: s, right: vt)
    }

    /// The largest singular values and their vectors, by a randomised range finder with power iterations that are
    /// orthonormalised between products (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1).
    ///
    /// - Parameters:
    ///   - sketch: standard normal numbers, [columns, k]; k is the rank asked for and ten or more beyond it.
    ///   - powerIterations: products with this matrix and its transpose before the range is taken; the more, the less
    ///     the small singular values disturb the large ones.
    /// - Returns: k values, of which the last ones are rough. Where k is no less than a side, all of them, exactly.
    public func svd(sketch: Matrix, powerIterations: Int) throws -> SingularValues {
        precondition(sketch.rows == columns, "a sketch that does not fit")
        guard sketch.columns < min(rows, columns) else { return try svd() }
        var range = try times(sketch).qr().q  // [rows, k]
        for _ in 0..<powerIterations {
            let opposite = try times(range, transposed: true).qr().q  // [columns, k]
            range = try times(opposite).qr().q
        }
        let core = try range.times(self, transposed: true).svd()  // of [k, columns]
        return SingularValues(left: try range.times(core.left), values: core.values, right: core.right)
    }
}

/// `left · diag(values) · right`: values falling, the columns of `left` and the rows of `right` orthonormal.
public struct SingularValues: Sendable {
    /// [rows, k].
    public let left: Matrix
    /// k numbers, none negative.
    public let values: [Float]
    /// [k, columns].
    public let right: Matrix

    /// The first `rank` of them.
    public func truncated(to rank: Int) -> SingularValues {
        guard rank < values.count else { return self }
        return SingularValues(
            left: left.prefix(columns: rank), values: Array(values.prefix(rank)), right: right.prefix(rows: rank))
    }

    /// The sum of the squared values.
    public var energy: Double { values.reduce(0) { $0 + Double($1) * Double($1) } }

    /// Two factors of the same size whose product is the matrix: up [rows, k], down [k, columns].
    public var factors: (up: Matrix, down: Matrix) {
        let roots = values.map { max($0, 0).squareRoot() }
        return (left.scaled(columns: roots), right.scaled(rows: roots))
    }
}

/// The singular values of `up · down`, [m, r] and [r, n], found without building the product.
public func singularValues(up: Matrix, down: Matrix) throws -> SingularValues {
    precondition(up.columns == down.rows, "factors that do not fit")
    guard up.columns <= min(up.rows, down.columns) else { return try up.times(down).svd() }
    let (left, upper) = try up.qr()  // [m, r], [r, r]
    let (right, lower) = try down.transposed().qr()  // [n, r], [r, r]
    let core = try upper.times(lower, otherTransposed: true).svd()
    return SingularValues(
        left: try left.times(core.left), values: core.values,
        right: try core.right.times(right, otherTransposed: true))
}

extension Matrix {
    /// [columns, rows].
    public func transposed() -> Matrix {
        var turned = Matrix(zeros: columns, rows)
        for row in 0..<rows {
            for column in 0..<columns { turned[column, row] = self[row, column] }
        }
        return turned
    }
}
