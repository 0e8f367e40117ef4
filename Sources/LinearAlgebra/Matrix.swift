/// A matrix of float32 numbers in memory, row after row without gaps.
public struct Matrix: Equatable, Sendable {
    /// How many rows lie one behind the other; at least 1.
    public let rows: Int
    /// Numbers of a row; at least 1.
    public let columns: Int
    /// `rows * columns` numbers.
    public var values: [Float]

    /// - Precondition: as many values as rows times columns, and at least one of each.
    public init(_ values: [Float], rows: Int, columns: Int) {
        precondition(rows > 0 && columns > 0 && values.count == rows * columns)
        self.rows = rows
        self.columns = columns
        self.values = values
    }

    /// All numbers 0, `rows` times `columns` of them, at least one of each.
    public init(zeros rows: Int, _ columns: Int) {
        self.init([Float](repeating: 0, count: rows * columns), rows: rows, columns: columns)
    }

    /// The number in a row and a column, counted from 0.
    public subscript(row: Int, column: Int) -> Float {
        get { values[row * columns + column] }
        set { values[row * columns + column] = newValue }
    }

    /// The first columns, [rows, count].
    public func prefix(columns count: Int) -> Matrix {
        var kept: [Float] = []
        kept.reserveCapacity(rows * count)
        for row in 0..<rows { kept += values[row * columns..<row * columns + count] }
        return Matrix(kept, rows: rows, columns: count)
    }

    /// The first rows, [count, columns].
    public func prefix(rows count: Int) -> Matrix {
        Matrix(Array(values.prefix(count * columns)), rows: count, columns: columns)
    }

    /// Each column multiplied by its own factor.
    public func scaled(columns factors: [Float]) -> Matrix {
        precondition(factors.count == columns)
        var scaled = self
        for row in 0..<rows {
            for column in 0..<columns { scaled.values[row * columns + column] *= factors[column] }
        }
        return scaled
    }

    /// Each row multiplied by its own factor.
    public func scaled(rows factors: [Float]) -> Matrix {
        precondition(factors.count == rows)
        var scaled = self
        for row in 0..<rows {
            for column in 0..<columns { scaled.values[row * columns + column] *= factors[row] }
        }
        return scaled
    }

    /// The sum of the squares of all numbers, in double precision.
    public var squaredNorm: Double {
        values.withUnsafeBufferPointer { values in
            var sum = 0.0
            for value in values { sum += Double(value) * Double(value) }
            return sum
        }
    }

    /// Whether no number is infinite or not a number.
    public var isFinite: Bool { values.withUnsafeBufferPointer { $0.allSatisfy(\.isFinite) } }
}
