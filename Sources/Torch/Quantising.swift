import Failures

/// A matrix in whole numbers of eight bits: each row is a scale times its codes, whose largest magnitude is 127.
///
/// Source: Dettmers et al. 2022, "LLM.int8()"; the codes are those of bitsandbytes' `int8_vectorwise_quant`.
public struct Int8Rows {
    /// [rows, columns], int8.
    public let codes: Tensor
    /// [rows], float32.
    public let scales: Tensor

    /// Takes codes and scales that were made before, such as those of a file.
    public init(codes: Tensor, scales: Tensor) { (self.codes, self.scales) = (codes, scales) }

    /// - Parameter matrix: [rows, columns], on the CPU.
    public init(of matrix: Tensor) throws {
        let results = try Operators.quantiseRows.call([.tensor(matrix)])
        guard results.count == 2 else { throw Failure.run("quantise_rows returned \(results.count) tensors") }
        (codes, scales) = (results[0], results[1])
    }

    /// Some rows in a floating-point type.
    /// - Parameter isFused: whether to use the kernel of this program where there is one for the device.
    public func expanded(_ rows: Range<Int>, to dtype: DType, isFused: Bool = true) throws -> Tensor {
        try Operators.expandRows(
            .tensor(codes.sliced(0, rows)), .tensor(scales.sliced(0, rows)), .dtype(dtype), .bool(isFused))
    }

    /// `x · Wᵀ + bias` [..., rows] with some rows W, or `x · W` [..., columns] where it is transposed: a part of W is expanded
    /// at a time, into the same memory. Outside the graph.
    public func multiplied(
        _ x: Tensor, by rows: Range<Int>, bias: Tensor? = nil, isTransposed: Bool = false, isFused: Bool = true
    ) throws -> Tensor {
        try Operators.multiplyRows(
            .tensor(x), .tensor(codes.sliced(0, rows)), .tensor(scales.sliced(0, rows)), .optional(bias),
            .bool(isTransposed), .bool(isFused))
    }
}

/// A matrix in four bits a number: each 64 numbers of a row are a magnitude times 16 levels, the quantiles of the normal
/// distribution; the magnitudes are kept in eight bits, less their mean, with a scale for each 256 of them.
///
/// Source: Dettmers et al. 2023, "QLoRA"; the codes are those of bitsandbytes' `quantize_4bit` with compressed
/// statistics.
public struct NF4Blocks {
    /// Two to a byte, the first in the upper bits: [rows, columns / 2], uint8.
    public let codes: Tensor
    /// Of the magnitudes, [rows * columns / 64], uint8.
    public let magnitudes: Tensor
    /// Of groups of 256 magnitudes, float32.
    public let scales: Tensor
    /// Of the magnitudes, [1], float32.
    public let mean: Tensor
    /// What the magnitudes' codes stand for, [256], float32, on the CPU.
    private let values: Tensor

    /// Numbers that share a magnitude.
    public static let block = 64

    /// How many scales there are for so many magnitudes.
    public static func scales(for magnitudes: Int) -> Int { DynamicCode.blocks(magnitudes) }

    /// Takes the parts of a matrix that was quantised before, such as those of a file.
    public init(codes: Tensor, magnitudes: Tensor, scales: Tensor, mean: Tensor) throws {
        (self.codes, self.magnitudes, self.scales, self.mean) = (codes, magnitudes, scales, mean)
        values = try Tensor(DynamicCode.values(signed: true))
    }

    /// - Parameter matrix: [rows, columns], columns a multiple of 64, on the CPU.
    public init(of matrix: Tensor) throws {
        values = try Tensor(DynamicCode.values(signed: true))
        let blocks = try Operators.quantiseNF4.call([.tensor(matrix)])
        guard blocks.count == 2 else { throw Failure.run("quantise_nf4 returned \(blocks.count) tensors") }
        let sizes = try Operators.quantiseMagnitudes.call([.tensor(blocks[1]), .tensor(values)])
        guard sizes.count == 3 else { throw Failure.run("quantise_magnitudes returned \(sizes.count) tensors") }
        (codes, magnitudes, scales, mean) = (blocks[0], sizes[0], sizes[1], sizes[2])
    }

    /// Some rows in a floating-point type.
    /// - Parameter isFused: whether to use the kernel of this program where there is one for the device.
    public func expanded(_ rows: Range<Int>, to dtype: DType, isFused: Bool = true) throws -> Tensor {
        try Operators.expandNF4(
            .tensor(codes), .tensor(magnitudes), .tensor(scales), .tensor(mean), .tensor(values),
            .int(rows.lowerBound), .int(rows.count), .dtype(dtype), .bool(isFused))
    }

    /// `x · Wᵀ + bias` [..., rows] with some rows W, or `x · W` [..., columns] where it is transposed: a part of W is expanded
    /// at a time, into the same memory. Outside the graph.
    public func multiplied(
        _ x: Tensor, by rows: Range<Int>, bias: Tensor? = nil, isTransposed: Bool = false, isFused: Bool = true
    ) throws -> Tensor {
        try Operators.multiplyNF4(
            .tensor(x), .tensor(codes), .tensor(magnitudes), .tensor(scales), .tensor(mean), .tensor(values),
            .int(rows.lowerBound), .int(rows.count), .optional(bias), .bool(isTransposed), .bool(isFused))
    }
}
