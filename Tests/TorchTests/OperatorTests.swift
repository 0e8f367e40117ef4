import COpenBLAS
import Failures
import Foundation
import LinearAlgebra
import TestSupport
import Testing
import Torch

@Suite struct OperatorTests {
    /// Every name in the library's sources, as `Operator("aten::add.Tensor")` has it.
    private func names() throws -> [String] {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Torch/Operators.swift")
        return try String(contentsOf: sources, encoding: .utf8).matches(of: /Operator\("([^"]+)"\)/).map {
            String($0.output.1)
        }
    }

    @Test func `this libtorch has every operator`() throws {
        let names = try names()
        #expect(names.count > 80)
        #expect(Set(names).count == names.count)
        for name in names { #expect(throws: Never.self, "\(name)") { try Operator(name).check() } }
    }

    @Test func `numbers below float's normal range count as zero in the engine and nowhere else`() throws {
        let small = Float.leastNormalMagnitude / 8
        #expect(try (Tensor([small, 1]) * 2).values(as: Float.self) == [0, 2])
        // In the threads that libtorch starts, too.
        let many = try Tensor([Float](repeating: small, count: 1 << 20)) * 2
        #expect(try many.sum().item() == 0)
        #expect(many.shape == [1 << 20])
        let product = try Tensor([Float](repeating: small, count: 4096), shape: [64, 64])
            .matmul(Tensor([Float](repeating: 1, count: 4096), shape: [64, 64]))
        #expect(try product.values(as: Float.self).allSatisfy { $0 == 0 })
        // Here they are what they were.
        #expect(small * 2 > 0)
    }

    @Test(arguments: ["aten::no_such_operator", "aten::add.NoSuchOverload", "add", "", "::"])
    func `an operator that is not there is said`(name: String) throws {
        let failure = try expectedFailure { try Operator(name).check() }
        #expect(failure.blame == .run)
        #expect(failure.what.hasPrefix(name))
    }

    @Test func `the logarithm of a softmax stays a number where the softmax vanishes`() throws {
        let x = try Tensor([Float(0), 1000, 0, 0], shape: [2, 2])
        let half = Float(-0.693147181)
        let expected = try Tensor([-1000, 0, half, half], shape: [2, 2])
        #expect(try largestDifference(x.logSoftmax(1), expected) < 1e-6)
    }

    @Test func `wrong arguments are a failure with the operator's name`() throws {
        let add = Operator("aten::add.Tensor")
        let one = try Tensor([Float(1)])
        for arguments: [Operator.Argument] in [
            [], [.tensor(one)], [.tensor(one), .string("two")], [.ints([1]), .tensor(one)],
            [.tensor(one), .tensor(one), .double(1), .double(1), .double(1)], [.none, .none],
        ] {
            let failure = try expectedFailure { _ = try add.call(arguments) }
            #expect(failure.what.contains("aten::add"), "\(failure)")
        }
        #expect(try add(.tensor(one), .tensor(one)).item() == 2)
    }

    @Test func `more results than fit are refused`() throws {
        let numbers = try Tensor.counting(65)
        #expect(try numbers.chunked(64, dimension: 0).count <= 64)
        #expect(try numbers.sliced(0, 0..<64).chunked(64, dimension: 0).count == 64)
        _ = try expectedFailure { _ = try numbers.chunked(65, dimension: 0) }
    }

    @Test func `two libraries of linear algebra keep to themselves`() throws {
        let engine = try Engine.shared()
        #expect(copenblas_path("sgemm_") != nil)
        for symbol in ["sgemm_", "sgesdd_"] {
            let ours = engine.library(of: symbol)
            let theirs = try #require(copenblas_path(symbol).map { String(cString: $0) })
            #expect(ours.contains("libtorch"), "\(symbol) of \(ours)")
            #expect(theirs.contains("libopenblas"), "\(symbol) of \(theirs)")
        }
        #expect(engine.library(of: "no_such_symbol") == "")

        // Quarters: every sum is exact in float32, so both must give the very numbers, before and after each other.
        let (m, n, k) = (67, 35, 129)
        let a = (0..<m * k).map { Float($0 * 37 % 33 - 16) / 4 }
        let b = (0..<k * n).map { Float($0 * 29 % 31 - 15) / 4 }
        let expected = (0..<m * n).map { place in
            (0..<k).reduce(Float(0)) { $0 + a[place / n * k + $1] * b[$1 * n + place % n] }
        }
        for _ in 1...2 {
            #expect(try Tensor(a, shape: [m, k]).matmul(Tensor(b, shape: [k, n])).values() == expected)
            let c = try Matrix(a, rows: m, columns: k).times(Matrix(b, rows: k, columns: n)).values
            #expect(c == expected)
        }
    }
}
