import COpenBLAS
import JSON
import Testing

/// A door's call with its message; empty where it went well.
private func message(_ call: (UnsafeMutablePointer<CChar>, Int) -> Int32) -> String {
    var text = [CChar](repeating: 0, count: 512)
    guard call(&text, text.count) != 0 else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

private func product(_ m: Int, _ n: Int, _ k: Int, _ a: [Float], _ b: [Float]) -> [Float] {
    var c = [Float](repeating: .nan, count: m * n)
    let problem = a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
            message {
                copenblas_gemm(
                    Int32(m), Int32(n), Int32(k), 1, .init(values: a.baseAddress, stride: Int32(k), transposed: 0),
                    .init(values: b.baseAddress, stride: Int32(n), transposed: 0), 0, &c, Int32(n), $0, $1)
            }
        }
    }
    #expect(problem == "")
    return c
}

@Suite struct OpenBLAS {
    @Test func `its symbols come from its own library`() throws {
        #expect(message(copenblas_load) == "")
        for symbol in ["sgemm_", "sgesdd_"] {
            let path = try #require(copenblas_path(symbol).map { String(cString: $0) })
            #expect(path.contains("libopenblas"), "\(path)")
        }
        #expect(copenblas_path("dgemm_") == nil)
        let config = try #require(copenblas_config().map { String(cString: $0) })
        #expect(config.hasPrefix("OpenBLAS 0."))
    }

    @Test func `products and singular values are numpy's`() throws {
        let golden = String(#filePath.dropLast("TorchTests/OpenBLASTests.swift".count)) + "Goldens/openblas.json"
        let cases = try #require(try JSON.read(golden).arrayValue)
        #expect(cases.count == 4)
        for item in cases {
            func floats(_ key: String) -> [Float] {
                (item[key]?.arrayValue ?? []).compactMap { $0.doubleValue.map(Float.init) }
            }
            func size(_ key: String) throws -> Int { try #require(item[key]?.intValue) }
            let (m, n, k) = try (size("m"), size("n"), size("k"))
            let a = floats("a")
            #expect(product(m, n, k, a, floats("b")) == floats("product"))  // quarters: exact in float32

            let rank = min(m, k)
            var (u, s) = ([Float](repeating: .nan, count: m * rank), [Float](repeating: .nan, count: rank))
            var vt = [Float](repeating: .nan, count: rank * k)
            #expect(message { copenblas_svd(Int32(m), Int32(k), a, &u, &s, &vt, $0, $1) } == "")
            for (value, expected) in zip(s, floats("singular")) { #expect(abs(value - expected) < 1e-4) }
            let scaled = u.enumerated().map { $1 * s[$0 % rank] }
            for (value, expected) in zip(product(m, k, rank, scaled, vt), a) { #expect(abs(value - expected) < 1e-4) }
        }
    }

    @Test func `what cannot be computed is said`() {
        var out = [Float](repeating: 0, count: 4)
        let nothing = "a matrix without rows or columns"
        let empty = copenblas_factor(values: nil, stride: 1, transposed: 0)
        #expect(message { copenblas_gemm(0, 1, 1, 1, empty, empty, 0, &out, 1, $0, $1) } == nothing)
        var (u, s, vt) = (out, out, out)
        #expect(message { copenblas_svd(1, -1, [1], &u, &s, &vt, $0, $1) } == nothing)
        let infinite = message { copenblas_svd(2, 2, [1, 2, .nan, 4], &u, &s, &vt, $0, $1) }
        #expect(infinite == "the matrix holds numbers that are not finite")
    }
}
