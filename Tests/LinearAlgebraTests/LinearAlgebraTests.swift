import Failures
import LinearAlgebra
import TestSupport
import Testing

/// A matrix of the golden.
private func matrix(_ golden: Golden, _ name: String) throws -> Matrix {
    let tensor = try #require(golden.tensors[name])
    return Matrix(tensor.floats, rows: tensor.shape[0], columns: tensor.shape[1])
}

/// The norm of `a - b`.
private func distance(_ a: Matrix, _ b: Matrix) -> Double {
    var sum = 0.0
    for (x, y) in zip(a.values, b.values) { sum += (Double(x) - Double(y)) * (Double(x) - Double(y)) }
    return sum.squareRoot()
}

/// Numbers that are as good as normal ones here: sums of uniform ones from a linear congruential sequence.
private func sketch(_ rows: Int, _ columns: Int) -> Matrix {
    var state: UInt64 = 12345
    func uniform() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) / Float(1 << 24)
    }
    let values = (0..<rows * columns).map { _ in (0..<12).reduce(Float(-6)) { sum, _ in sum + uniform() } }
    return Matrix(values, rows: rows, columns: columns)
}

@Suite struct LinearAlgebraTests {
    private let golden: Golden
    static let names = ["flat", "wide", "slow", "low"]

    init() throws { golden = try Golden("algebra") }

    @Test(arguments: [false, true], [false, true])
    func productsAddToWhatIsThere(aTransposed: Bool, bTransposed: Bool) throws {
        let (a, b) = try (matrix(golden, "product.a"), matrix(golden, "product.b"))
        var sum = try matrix(golden, "product.c")
        let (left, right) = (aTransposed ? a.transposed() : a, bTransposed ? b.transposed() : b)
        try left.withFactor(transposed: aTransposed) { left in
            try right.withFactor(transposed: bTransposed) { right in
                try sum.values.withUnsafeMutableBufferPointer {
                    try multiply(left, right, scale: 2, addingTo: #require($0.baseAddress))
                }
            }
        }
        #expect(try sum == matrix(golden, "product.out"))
    }

    @Test(arguments: names) func thinQRIsOrthonormalTimesTriangular(name: String) throws {
        let stored = try matrix(golden, "matrix.\(name)")
        let tall = stored.rows >= stored.columns ? stored : stored.transposed()
        let (q, r) = try tall.qr()
        #expect(try distance(q.times(r), tall) < 1e-4)
        var unit = Matrix(zeros: tall.columns, tall.columns)
        for index in 0..<tall.columns { unit[index, index] = 1 }
        #expect(try distance(q.times(q, transposed: true), unit) < 1e-4)
        for row in 1..<r.rows { for column in 0..<row { #expect(r[row, column] == 0) } }
    }

    @Test(arguments: names) func fullDecompositionHasThePeersValues(name: String) throws {
        let stored = try matrix(golden, "matrix.\(name)")
        let found = try stored.svd()
        for (ours, theirs) in zip(found.values, try #require(golden.tensors["singular.\(name)"]).floats) {
            #expect(abs(ours - theirs) < 1e-4 * found.values[0])
        }
        let (up, down) = found.factors
        #expect(try distance(up.times(down), stored) < 1e-4 * stored.squaredNorm.squareRoot())
    }

    @Test(arguments: names) func randomisedRankFourIsWithinAHundredthOfTheBest(name: String) throws {
        let stored = try matrix(golden, "matrix.\(name)")
        let best = try Double(#require(golden.tensors["best.\(name)"]).floats[0])
        let found = try stored.svd(sketch: sketch(stored.columns, 12), powerIterations: 3).truncated(to: 4)
        let (up, down) = found.factors
        #expect((up.rows, up.columns, down.rows, down.columns) == (stored.rows, 4, 4, stored.columns))
        let left = try distance(up.times(down), stored)
        #expect(left >= best * (1 - 1e-4) && left < 1.01 * best, "\(left) where \(best) is best")
        #expect(abs(found.energy - (stored.squaredNorm - left * left)) < 1e-3 * stored.squaredNorm)
    }

    @Test func aSketchAsWideAsTheMatrixGivesAllOfIt() throws {
        let stored = try matrix(golden, "matrix.flat")
        let found = try stored.svd(sketch: sketch(40, 40), powerIterations: 0)
        #expect(try found.values == stored.svd().values)
    }

    @Test(arguments: [(12, 3, 9), (4, 6, 5)]) func aProductOfThinFactorsIsDecomposedAsItIs(
        rows: Int, rank: Int, columns: Int
    ) throws {
        let (up, down) = (sketch(rows, rank), sketch(rank, columns))
        let found = try singularValues(up: up, down: down)
        let whole = try up.times(down)
        let (left, right) = found.factors
        #expect(try distance(left.times(right), whole) < 1e-5 * whole.squaredNorm.squareRoot())
        for (ours, theirs) in zip(found.values, try whole.svd().values) { #expect(abs(ours - theirs) < 1e-4) }
    }

    @Test func numbersThatAreNotFiniteAreRefused() throws {
        let broken = Matrix([1, .nan, 0, 2], rows: 2, columns: 2)
        #expect(!broken.isFinite)
        let failure = try #require(throws: Failure.self) { try broken.svd() }
        #expect(failure.got == "the matrix holds numbers that are not finite")
    }
}
