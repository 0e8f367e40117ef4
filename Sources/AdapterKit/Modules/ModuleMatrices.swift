import Failures
import JSON
import Layers
import Torch

/// A method's matrices for one module as a file holds them.
public struct ModuleMatrices {
    /// Of Stage C (`down_blocks.0.2.attention.attn.to_q`) or of the text encoder
    /// (`text_model.encoder.layers.0.self_attn.q_proj`).
    public let path: String
    /// In the method's order, [rows, columns] or [rows], in any dtype.
    public let tensors: [StoredTensor]
    /// What scales the matrices, over the rank; 1 of a method without a rank.
    public let alpha: Double
    /// Nil of a method without one.
    public let rank: Int?
    /// The shape of the module, as far as the matrices tell it.
    public let shape: ModuleShape

    /// - Parameters:
    ///   - method: whose matrices they are.
    ///   - path: of the module.
    ///   - tensors: in the method's order; those of 1x1 convolutions are taken for the matrices they are, and so are
    ///     depthwise kernels, [rows, 1, k, k].
    ///   - alpha: nil for the rank.
    ///   - place: the file, for failures.
    /// - Throws: a failure of the input where the matrices or alpha cannot be.
    public init<Method: ModuleMethod>(
        of method: Method.Type, _ path: String, _ tensors: [StoredTensor], alpha: Double?, at place: Failure.Place
    ) throws {
        let isDepthwise = ModulePath.isDepthwise(path)
        let matrices = try zip(Method.matrices, tensors).map { matrix, tensor in
            try Self.matrix(tensor, matrix, of: path, mayBeKernel: isDepthwise, at: place)
        }
        let sizes = Sizes(Method.matrices, matrices.map(\.shape))
        guard sizes.fit else {
            throw Failure.input(
                "the matrices of `\(path)` do not fit each other", at: place,
                expected: Self.expectation(Method.matrices),
                got: tensors.map { "\($0.shape)" }.joined(separator: " and "))
        }
        self.path = path
        self.tensors = matrices
        rank = sizes[.rank]
        self.alpha = alpha ?? rank.map(Double.init) ?? 1
        guard self.alpha.isFinite else {
            throw Failure.input("alpha of `\(path)` is no number", at: place, got: "\(self.alpha)")
        }
        let inputs = sizes[.inputs] ?? 0
        let side = Int(Double(inputs).squareRoot().rounded())
        let isSquare = side > 0 && side * side == inputs
        // A method that says nothing of the inputs does not tell the kernels' side either.
        if isDepthwise, !isSquare, let index = Method.matrices.firstIndex(where: { $0.axes.contains(.inputs) }) {
            throw Failure.input(
                "the \(Method.matrices[index].name) matrix of `\(path)` cannot be used", at: place,
                expected: "a shape [rank, k * k]", got: "\(matrices[index].shape)")
        }
        shape = ModuleShape(
            path: path, inputs: inputs, outputs: sizes[.outputs] ?? 0, kernelSide: isDepthwise && isSquare ? side : nil)
    }

    /// What the matrices are multiplied by.
    public var scale: Double { rank.map { alpha / Double($0) } ?? 1 }
    /// Whether the module lies in the text encoder and not in Stage C.
    public var isOfText: Bool { ModulePath.isOfText(path) }

    /// The matrices in use at a strength.
    func values(strength: Double = 1) throws -> ModuleValues {
        ModuleValues(
            shape: shape, matrices: try tensors.map { try $0().to(dtype: .float32) }, scale: scale * strength,
            matrix: nil, bias: nil)
    }

    /// A stored tensor as the matrix it is.
    private static func matrix(
        _ tensor: StoredTensor, _ matrix: MethodMatrix, of path: String, mayBeKernel: Bool, at place: Failure.Place
    ) throws -> StoredTensor {
        let shape = tensor.shape
        let axes = matrix.axes.count
        let isKernel = mayBeKernel && axes == 2 && matrix.axes[1] == .inputs
        let rest = shape.dropFirst(axes)
        let isSquare = isKernel && shape.count == 4 && shape[1] == 1 && shape[2] == shape[3] && shape[2] < 1 << 15
        let isMatrix = rest.allSatisfy { $0 == 1 } && (rest.isEmpty || shape.count == 4)
        guard isMatrix || isSquare, shape.count >= axes, tensor.dtype.isFloatingPoint else {
            throw Failure.input(
                "the \(matrix.name) matrix of `\(path)` cannot be used", at: place,
                expected: isKernel
                    ? "kernels of floating-point numbers, [rank, 1, k, k]"
                    : "a matrix of floating-point numbers, or one stored as a 1x1 convolution",
                got: "\(shape) of \(tensor.dtype)",
                advice: isKernel
                    ? "PEFT adapts depthwise kernels by a dense convolution beside them, which is another method" : nil)
        }
        return tensor.reshaped(axes == 1 ? [shape[0]] : [shape[0], rest.reduce(shape[1], *)])
    }

    /// `down [rank, in] and up [out, rank] of one rank above 0`
    private static func expectation(_ matrices: [MethodMatrix]) -> String {
        let shapes = matrices.map { matrix in
            "\(matrix.name) [\(matrix.axes.map(\.description).joined(separator: ", "))]"
        }
        return shapes.joined(separator: " and ")
            + (matrices.contains { $0.axes.contains(.rank) } ? " of one rank above 0" : "")
    }
}

extension MethodMatrix.Axis: CustomStringConvertible {
    /// As the expected shape in a message: "[rank, in]".
    public var description: String {
        switch self {
        case .outputs: "out"
        case .inputs: "in"
        case .rank: "rank"
        }
    }
}

/// What the axes of a module's matrices count.
private struct Sizes {
    private var sizes: [MethodMatrix.Axis: Int] = [:]
    /// Whether equal axes are equally long, and none is empty.
    private(set) var fit = true

    init(_ matrices: [MethodMatrix], _ shapes: [[Int]]) {
        for (matrix, shape) in zip(matrices, shapes) {
            for (axis, size) in zip(matrix.axes, shape) {
                fit = fit && size > 0 && sizes[axis, default: size] == size
                sizes[axis] = size
            }
        }
    }

    subscript(axis: MethodMatrix.Axis) -> Int? { sizes[axis] }
}

// MARK: Fused projections

extension ModuleMatrices {
    /// The matrices of an attention's fused projection as those of its three parts, which share what does not count
    /// outputs; any other module as it is.
    public func thirds<Method: ModuleMethod>(
        of method: Method.Type, at place: Failure.Place
    ) throws -> [ModuleMatrices] {
        guard path.hasSuffix(".attn.\(Attention.fused)") else { return [self] }
        guard shape.outputs % 3 == 0 else {
            throw Failure.input(
                "the matrices of `\(path)` are not those of three projections", at: place,
                got: tensors.map { "\($0.shape)" }.joined(separator: " and "))
        }
        let third = shape.outputs / 3
        return try Attention.thirds.enumerated().map { index, name in
            let rows = index * third..<(index + 1) * third
            let parts = zip(Method.matrices, tensors).map { $0.axes[0] == .outputs ? $1.rows(rows) : $1 }
            return try ModuleMatrices(
                of: Method.self, path.dropLast(Attention.fused.count) + name, parts, alpha: alpha, at: place)
        }
    }
}

// MARK: Native files

extension ModuleMatrices {
    /// The modules of a native file, in its order.
    ///
    /// `rank` and `alpha` hold for all modules but those that `rank_pattern` and `alpha_pattern` name by their paths.
    /// - Throws: a failure of the input where the file is damaged or has none.
    static func all<Method: ModuleMethod>(of method: Method.Type, in file: AdapterFile) throws -> [ModuleMatrices] {
        let place = Failure.Place(file.path)
        let described = try Method.hasRank ? Description(file) : nil
        let names = file.weights.entries.map(\.name)
        let byMatrix = Method.matrices.map { matrix in
            let end = Method.key("", matrix)
            return names.filter { $0.hasSuffix(end) }.map { String($0.dropLast(end.count)) }
        }
        let paths = byMatrix.first ?? []
        let everywhere = byMatrix.dropFirst().reduce(Set(paths)) { $0.intersection($1) }
        if let single = Set(byMatrix.joined()).subtracting(everywhere).min() {
            throw Failure.input(
                "`\(single)` lacks one of its matrices", at: place,
                expected: Method.matrices.map { Method.key(single, $0) }.joined(separator: " and "))
        }
        guard !paths.isEmpty else { throw Failure.input("the \(Method.title) has no module at all", at: place) }
        return try paths.map { path in
            let stored = try Method.matrices.map { matrix in
                let key = Method.key(path, matrix)
                guard let entry = file.weights[key] else {
                    throw Failure.input("there is no tensor `\(key)`", at: place)
                }
                return StoredTensor(entry, in: file.weights)
            }
            let module = try ModuleMatrices(of: Method.self, path, stored, alpha: described?.alpha(of: path), at: place)
            if let rank = described?.rank(of: path), rank != module.rank.map(Double.init) {
                throw Failure.input(
                    "`\(path)` has another rank than its description", at: place, expected: "a shape with rank \(rank)",
                    got: module.tensors.map { "\($0.shape)" }.joined(separator: " and "))
            }
            return module
        }
    }

    /// The ranks and alphas that a native file describes.
    struct Description {
        private let rank: Int
        private let alpha: Double
        private let ranks: [String: Double]
        private let alphas: [String: Double]

        init(_ file: AdapterFile) throws {
            guard let rank = Int(exactly: try file.number("rank")), rank > 0 else {
                throw Failure.input(
                    "the description has no rank", at: .init(file.path), expected: "a whole number above 0",
                    got: file.weights.metadata["rank"] ?? "nothing")
            }
            self.rank = rank
            alpha = try file.number("alpha")
            ranks = try Self.pattern("rank_pattern", file)
            alphas = try Self.pattern("alpha_pattern", file)
        }

        func rank(of path: String) -> Double { ranks[path] ?? Double(rank) }
        func alpha(of path: String) -> Double { alphas[path] ?? alpha }

        private static func pattern(_ name: String, _ file: AdapterFile) throws -> [String: Double] {
            let described = try file.described(name)
            if described.isNull { return [:] }
            var numbers: [String: Double] = [:]
            for (path, value) in described.objectValue ?? .init() { numbers[path] = value.doubleValue }
            guard described.objectValue?.count == numbers.count, numbers.values.allSatisfy(\.isFinite) else {
                throw Failure.input(
                    "the description `\(name)` is damaged", at: Failure.Place(file.path),
                    expected: "a number for each module it names", got: described.text())
            }
            return numbers
        }
    }

    /// Describes modules as `all` reads them: the commonest rank and alpha, and those that differ by path; nothing of
    /// modules without a rank.
    static func describe(
        _ modules: [(path: String, rank: Int?, alpha: Double)], _ describe: (String, JSON) -> Void
    ) {
        func commonest<Value: Hashable & Comparable>(_ values: [Value]) -> Value? {
            Dictionary(grouping: values) { $0 }.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.key
        }
        guard let rank = commonest(modules.compactMap(\.rank)), let alpha = commonest(modules.map(\.alpha)) else {
            return
        }
        describe("rank", .integer(rank))
        describe("alpha", .number(alpha))
        var (ranks, alphas) = (JSON.Object(), JSON.Object())
        for module in modules {
            if let own = module.rank, own != rank { ranks[module.path] = .integer(own) }
            if module.alpha != alpha { alphas[module.path] = .number(module.alpha) }
        }
        if ranks.count > 0 { describe("rank_pattern", .object(ranks)) }
        if alphas.count > 0 { describe("alpha_pattern", .object(alphas)) }
    }
}
