import AdapterKit
import Failures
import JSON

/// The LoRA of one module as a file holds it: `alpha / rank · up · down` is added to the module's weight.
struct LoRAModule {
    /// Of Stage C (`down_blocks.0.2.attention.attn.to_q`) or of the text tower
    /// (`text_model.encoder.layers.0.self_attn.q_proj`).
    let path: String
    /// [rank, in], in any dtype; of depthwise kernels `in` is the numbers of one kernel.
    let down: StoredTensor
    /// [out, rank], in any dtype.
    let up: StoredTensor
    let alpha: Double

    /// - Throws: a failure of the input where the two matrices or alpha cannot be; shapes of 1x1 convolutions are
    ///   taken for the matrices they are, and so is a down of depthwise kernels, [rank, 1, k, k].
    init(path: String, down: StoredTensor, up: StoredTensor, alpha: Double?, at place: Failure.Place) throws {
        let isDepthwise = ModulePath.isDepthwise(path)
        func matrix(_ tensor: StoredTensor, _ name: String, isKernel: Bool) throws -> StoredTensor {
            let shape = tensor.shape
            let sides = shape.dropFirst(2)
            let isSquare = isKernel && shape.count == 4 && shape[1] == 1 && shape[2] == shape[3] && shape[2] < 1 << 15
            guard sides.isEmpty || sides == [1, 1] || isSquare, shape.count > 1, tensor.dtype.isFloatingPoint else {
                throw Failure.input(
                    "the \(name) matrix of `\(path)` cannot be used", at: place,
                    expected: isKernel
                        ? "kernels of floating-point numbers, [rank, 1, k, k]"
                        : "a matrix of floating-point numbers, or one stored as a 1x1 convolution",
                    got: "\(shape) of \(tensor.dtype)",
                    advice: isKernel ? "PEFT's LoRA of a depthwise convolution is a dense convolution beside it" : nil)
            }
            return tensor.reshaped([shape[0], sides.reduce(shape[1], *)])
        }
        self.path = path
        self.down = try matrix(down, "down", isKernel: isDepthwise)
        self.up = try matrix(up, "up", isKernel: false)
        guard self.down.shape[0] == self.up.shape[1], self.down.shape[0] > 0 else {
            throw Failure.input(
                "the two matrices of `\(path)` do not fit each other", at: place,
                expected: "down [rank, in] and up [out, rank] of one rank above 0",
                got: "\(down.shape) and \(up.shape)")
        }
        self.alpha = alpha ?? Double(self.down.shape[0])
        guard self.alpha.isFinite else {
            throw Failure.input("alpha of `\(path)` is no number", at: place, got: "\(self.alpha)")
        }
        if isDepthwise, kernelSide == nil {
            throw Failure.input(
                "the down matrix of `\(path)` cannot be used", at: place, expected: "a shape [rank, k * k]",
                got: "\(down.shape)")
        }
    }

    var rank: Int { down.shape[0] }
    var inputs: Int { down.shape[1] }
    var outputs: Int { up.shape[0] }
    /// The side of depthwise kernels; nil of any other module.
    var kernelSide: Int? {
        let side = Int(Double(inputs).squareRoot().rounded())
        return ModulePath.isDepthwise(path) && side > 0 && side * side == inputs ? side : nil
    }
    /// What the product is multiplied by.
    var scale: Double { alpha / Double(rank) }
    /// Whether the module lies in the text tower and not in Stage C.
    var isOfText: Bool { ModulePath.isOfText(path) }
}

// MARK: Native files

extension LoRAModule {
    /// The modules of a native file, in its order.
    ///
    /// `rank` and `alpha` hold for all modules but those that `rank_pattern` and `alpha_pattern` name by their paths.
    static func all(in file: AdapterFile) throws -> [LoRAModule] {
        let place = Failure.Place(file.path)
        guard let rank = Int(exactly: try file.number("rank")), rank > 0 else {
            throw Failure.input(
                "the description has no rank", at: place, expected: "a whole number above 0",
                got: file.weights.metadata["rank"] ?? "nothing")
        }
        let alpha = try file.number("alpha")
        let ranks = try pattern("rank_pattern", file)
        let alphas = try pattern("alpha_pattern", file)
        let names = file.weights.entries.map(\.name)
        func paths(_ suffix: String) -> [String] {
            names.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }
        }
        let (downs, ups) = (paths(LowRankChange.downKey("")), paths(LowRankChange.upKey("")))
        if let single = Set(downs).symmetricDifference(ups).min() {
            throw Failure.input(
                "`\(single)` has only one of its two matrices", at: place,
                expected: "\(LowRankChange.downKey(single)) and \(LowRankChange.upKey(single))")
        }
        guard !downs.isEmpty else { throw Failure.input("the LoRA has no module at all", at: place) }
        return try downs.map { path in
            func stored(_ key: String) throws -> StoredTensor {
                guard let entry = file.weights[key] else {
                    throw Failure.input("there is no tensor `\(key)`", at: place)
                }
                return StoredTensor(entry, in: file.weights)
            }
            let module = try LoRAModule(
                path: path, down: stored(LowRankChange.downKey(path)), up: stored(LowRankChange.upKey(path)),
                alpha: alphas[path] ?? alpha,
                at: place)
            let declared = ranks[path] ?? Double(rank)
            guard Double(module.rank) == declared else {
                throw Failure.input(
                    "`\(path)` has another rank than its description", at: place, expected: "shape [\(declared), …]",
                    got: "\(module.down.shape)")
            }
            return module
        }
    }

    /// The alpha that a native file describes for a module.
    static func alpha(of path: String, describedIn file: AdapterFile) throws -> Double {
        try pattern("alpha_pattern", file)[path] ?? file.number("alpha")
    }

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

    /// Describes modules as `all` reads them: the commonest rank and alpha, and those that differ by path.
    /// - Parameter modules: not empty.
    static func describe(_ modules: [(path: String, rank: Int, alpha: Double)], _ describe: (String, JSON) -> Void) {
        func commonest<Value: Hashable & Comparable>(_ values: [Value]) -> Value? {
            Dictionary(grouping: values) { $0 }.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.key
        }
        guard let rank = commonest(modules.map(\.rank)), let alpha = commonest(modules.map(\.alpha)) else { return }
        describe("rank", .integer(rank))
        describe("alpha", .number(alpha))
        var (ranks, alphas) = (JSON.Object(), JSON.Object())
        for module in modules {
            if module.rank != rank { ranks[module.path] = .integer(module.rank) }
            if module.alpha != alpha { alphas[module.path] = .number(module.alpha) }
        }
        if ranks.count > 0 { describe("rank_pattern", .object(ranks)) }
        if alphas.count > 0 { describe("alpha_pattern", .object(alphas)) }
    }
}
