import Failures
import Torch
import Weights

/// A frozen matrix in eight or four bits a number, of which products expand a part at a time.
public struct QuantisedMatrix {
    private enum Numbers {
        case int8(Int8Rows)
        case nf4(NF4Blocks)
    }

    private let numbers: Numbers
    /// Of the stored matrix; a part of it is made by ``rows(_:)``.
    private let kept: Range<Int>
    /// Columns, which are the features of a product's input.
    public let inputs: Int

    /// Rows, only those that ``rows(_:)`` took where this is a part.
    public var outputs: Int { kept.count }

    /// Quantises [out, in], or [out, in, 1, 1].
    /// - Parameters:
    ///   - dtype: not `bfloat16`.
    ///   - name: of the matrix, for messages.
    /// - Throws: a failure of the input where a number is not finite.
    public init(_ matrix: Tensor, as dtype: BaseDType, name: String) throws {
        let (rows, columns) = (matrix.size(0), matrix.size(1))
        let flat = try matrix.detached().to(device: .cpu).reshaped([rows, columns])
        let isFinite: Bool
        switch dtype {
        case .bfloat16: preconditionFailure("bfloat16 is no quantised form")
        case .int8:
            let quantised = try Int8Rows(of: flat)
            isFinite = try quantised.scales.isAllFinite()
            numbers = .int8(quantised)
        case .nf4:
            let quantised = try NF4Blocks(of: flat)
            isFinite = try quantised.scales.isAllFinite() && quantised.mean.isAllFinite()
            numbers = .nf4(quantised)
        }
        guard isFinite else {
            throw Failure.input(
                "`\(name)` cannot be quantised", expected: "finite numbers", got: "infinite ones, or no numbers",
                advice: "the file is damaged, or its training went wrong")
        }
        (kept, inputs) = (0..<rows, columns)
    }

    private init(_ numbers: Numbers, _ kept: Range<Int>, inputs: Int) {
        (self.numbers, self.kept, self.inputs) = (numbers, kept, inputs)
    }

    /// A matrix of zeros that take no memory, for networks of which only sizes matter.
    static func placeholder(_ shape: [Int], as dtype: BaseDType) throws -> QuantisedMatrix {
        let pieces = try layout(of: shape, as: dtype).map { _, dtype, shape in
            try Tensor.zeros(shape.map { _ in 1 }, dtype: dtype).expanded(shape)
        }
        return try QuantisedMatrix(numbers(pieces, dtype), 0..<shape[0], inputs: shape[1])
    }

    /// What the tensors of a layout hold.
    private static func numbers(_ pieces: [Tensor], _ dtype: BaseDType) throws -> Numbers {
        dtype == .int8
            ? .int8(.init(codes: pieces[0], scales: pieces[1]))
            : .nf4(try .init(codes: pieces[0], magnitudes: pieces[1], scales: pieces[2], mean: pieces[3]))
    }

    /// The form of the codes: `int8` or `nf4`.
    public var dtype: BaseDType {
        switch numbers {
        case .int8: .int8
        case .nf4: .nf4
        }
    }

    /// Where the codes and scales are in memory.
    public var device: Device { pieces[0].tensor.device }

    /// What all of the stored matrix takes.
    public var byteCount: Int { pieces.reduce(0) { $0 + $1.tensor.byteCount } }

    /// The matrix with its codes and scales on another device; those that are there are shared.
    public func to(device: Device) throws -> QuantisedMatrix { try replacing { try $1.to(device: device) } }

    /// The same matrix with other tensors of the same numbers for its pieces, by what their names end with.
    func replacing(_ other: (_ ending: String, _ piece: Tensor) throws -> Tensor) throws -> QuantisedMatrix {
        let pieces = try pieces.map { try other($0.ending, $0.tensor) }
        return QuantisedMatrix(try Self.numbers(pieces, dtype), kept, inputs: inputs)
    }

    /// Some rows, which share the memory.
    public func rows(_ rows: Range<Int>) -> QuantisedMatrix {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= outputs)
        return QuantisedMatrix(
            numbers, kept.lowerBound + rows.lowerBound..<kept.lowerBound + rows.upperBound, inputs: inputs)
    }

    /// The numbers that it stands for, [out, in].
    /// - Parameter isFused: false takes libtorch's operators on every device.
    public func expanded(to dtype: DType, isFused: Bool = true) throws -> Tensor {
        switch numbers {
        case .int8(let rows): try rows.expanded(kept, to: dtype, isFused: isFused)
        case .nf4(let blocks): try blocks.expanded(kept, to: dtype, isFused: isFused)
        }
    }

    /// `x · Wᵀ + bias` [..., out] of x [..., in], or `x · W` [..., in] of x [..., out] where it is transposed, outside the graph.
    /// A few megabytes of W are expanded at a time.
    /// - Parameter isFused: false expands all of W, by libtorch's operators.
    public func multiplied(
        _ x: Tensor, bias: Tensor? = nil, isTransposed: Bool = false, isFused: Bool = true
    ) throws -> Tensor {
        switch numbers {
        case .int8(let rows):
            try rows.multiplied(x, by: kept, bias: bias, isTransposed: isTransposed, isFused: isFused)
        case .nf4(let blocks):
            try blocks.multiplied(x, by: kept, bias: bias, isTransposed: isTransposed, isFused: isFused)
        }
    }
}

// MARK: Files

extension QuantisedMatrix {
    /// What the names of its tensors end with behind the weight's key, the codes' own first. nf4: scales are the
    /// magnitudes' codes, group scales and mean are theirs.
    private static let (scales, groupScales, mean) = (".scales", ".scales.scales", ".scales.mean")

    /// Ends of the names of tensors that belong to a quantised matrix and are none of the network's own.
    static let endings = [scales, groupScales, mean]

    /// The tensors that a file holds of it, by what their names add to the weight's key.
    public var pieces: [(ending: String, tensor: Tensor)] {
        switch numbers {
        case .int8(let rows): [("", rows.codes), (Self.scales, rows.scales)]
        case .nf4(let blocks):
            [
                ("", blocks.codes), (Self.scales, blocks.magnitudes), (Self.groupScales, blocks.scales),
                (Self.mean, blocks.mean),
            ]
        }
    }

    /// The dtypes and shapes of ``pieces`` for a weight of a shape that can be quantised.
    static func layout(
        of shape: [Int], as dtype: BaseDType
    ) -> [(ending: String, dtype: DType, shape: [Int])] {
        let (rows, columns) = (shape[0], shape[1])
        let magnitudes = rows * columns / NF4Blocks.block
        return switch dtype {
        case .bfloat16: [("", .bfloat16, shape)]
        case .int8: [("", .int8, [rows, columns]), (scales, .float32, [rows])]
        case .nf4:
            [
                ("", .uint8, [rows, columns / 2]), (Self.scales, .uint8, [magnitudes]),
                (groupScales, .float32, [NF4Blocks.scales(for: magnitudes)]), (mean, .float32, [1]),
            ]
        }
    }

    /// What a weight of a shape that can be quantised takes.
    public static func byteCount(of shape: [Int], as dtype: BaseDType) -> Int {
        layout(of: shape, as: dtype).reduce(0) { $0 + $1.shape.reduce($1.dtype.size, *) }
    }

    /// The keys of a file's quantised weights, behind a prefix, with their forms.
    public static func keys(in file: any NamedTensors, prefix: String = "") -> [String: BaseDType] {
        var keys: [String: BaseDType] = [:]
        for entry in file.entries where entry.name.hasPrefix(prefix) && entry.name.hasSuffix("weight" + scales) {
            let weight = String(entry.name.dropLast(scales.count))
            switch file[weight]?.dtype {
            case .int8: keys[String(weight.dropFirst(prefix.count))] = .int8
            case .uint8: keys[String(weight.dropFirst(prefix.count))] = .nf4
            default: break
            }
        }
        return keys
    }

    /// Whether a name is that of a tensor which belongs to a quantised matrix beside its codes.
    public static func isPiece(_ name: String) -> Bool {
        endings.contains { name.hasSuffix("weight" + $0) }
    }

    /// The matrix of a weight that a file has quantised.
    /// - Parameters:
    ///   - shape: of the weight, one that can be quantised.
    ///   - piece: the tensor of an ending; nil where the file has none.
    /// - Throws: what does not fit, as one text.
    init(
        stored shape: [Int], as dtype: BaseDType, _ piece: (String) throws -> Tensor?
    ) throws(Misfit) {
        var found: [Tensor] = []
        for (ending, dtype, shape) in Self.layout(of: shape, as: dtype) {
            let tensor: Tensor?
            do { tensor = try piece(ending) } catch { throw Misfit(text: "\(error)") }
            guard let tensor else { throw Misfit(text: "lacks its tensor `…\(ending)`") }
            guard tensor.dtype == dtype, tensor.shape == shape else {
                throw Misfit(
                    text: "has `…\(ending)` as \(tensor.dtype) \(tensor.shape) where \(dtype) \(shape) belongs")
            }
            found.append(tensor)
        }
        do { numbers = try Self.numbers(found, dtype) } catch { throw Misfit(text: "\(error)") }
        (kept, inputs) = (0..<shape[0], shape[1])
    }

    /// Why the tensors of a file are no matrix.
    struct Misfit: Error {
        let text: String
    }
}
