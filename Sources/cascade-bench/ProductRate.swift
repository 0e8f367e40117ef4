import Failures
import Glibc
import JSON
import Torch

/// How fast libtorch multiplies matrices of the shapes that an update of Stage C with 94 million parameters has.
struct ProductRate {
    var threads: Int?
    var dtype = DType.bfloat16

    /// Rows of a batch of four, and the sides of a block's four weights.
    private static let rows = 4 * 24 * 24
    private static let weights = [(2048, 512), (512, 2048), (1536, 512), (512, 512)]

    /// - Returns: one line with operations a second, of x · Wᵀ and y · W together, each at its best of many times.
    func run() throws -> JSON {
        if let threads { try Engine.shared().setThreads(threads) }
        let generator = try Generator(seed: 1)
        var (operations, seconds) = (0.0, 0.0)
        for (outputs, inputs) in Self.weights {
            let x = try generator.normal([Self.rows, inputs]).to(dtype: dtype)
            let y = try generator.normal([Self.rows, outputs]).to(dtype: dtype)
            let weight = try generator.normal([outputs, inputs]).to(dtype: dtype)
            seconds += try best { try x.linear(weight, bias: nil) } + best { try y.matmul(weight) }
            operations += 4 * Double(Self.rows * outputs * inputs)
        }
        return [
            "what": "products", "dtype": .string(dtype.description),
            "threads": .integer(try Engine.shared().threads), "operations_per_second": .number(operations / seconds),
        ]
    }

    private func best(_ product: () throws -> Tensor) throws -> Double {
        try (0..<30).reduce(Double.infinity) { best, _ in
            let began = monotonicSeconds()
            _ = try product()
            return min(best, monotonicSeconds() - began)
        }
    }
}

extension ProductRate {
    init(_ arguments: inout ArraySlice<String>) throws {
        self.init()
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { throw Failure.input("\(option) lacks its value") }
            switch option {
            case "--threads": threads = Int(value)
            case "--dtype": dtype = value == "float32" ? .float32 : .bfloat16
            default: throw Failure.input("unknown option", got: option)
            }
        }
    }
}
