import Layers
import Settings
import Torch

/// A way to change single products of a network by a few small matrices for each, such as LoRA.
///
/// A method says its matrices, how they start, what it computes from a product's input, output and frozen weight, and
/// the merged weight. Which modules get it, their learning rates, dropout and strength, attaching and fusing, and all
/// file formats are written once, in ``ModuleAdapter`` and ``ModuleKind``.
///
/// A value of the type holds what a configuration says of a new adapter; a file says the rest by its matrices.
public protocol ModuleMethod: Sendable {
    /// The name in files, messages and keys: "lora" makes the keys `lora_lr` and `lora_dropout`.
    static var name: String { get }

    /// The name for people: "LoRA".
    static var title: String { get }

    /// Whether a configuration asks for this method by `module_filters` alone, without `adapter_method`.
    static var isDefault: Bool { get }

    /// The matrices of each module, in the order in which they are trained and written.
    static var matrices: [MethodMatrix] { get }

    /// Formats of this method's own, beside those that name modules.
    static var formats: [any ModuleFormat.Type] { get }

    /// What kohya's scripts call the network; nil where they know none.
    static var networkModule: String? { get }

    /// How PEFT writes the method; nil where it has no such method.
    static var peft: PEFTNames? { get }

    /// Keys of methods that resemble this one and can't be used in its place, to name them when they are refused.
    static var strangers: [StrangeKey] { get }

    /// Reads the keys of a training configuration that are the method's alone, such as `rank`.
    init(_ fields: inout Fields) throws

    /// What is trained, for people: "LoRA of rank 4".
    var summary: String { get }

    /// The shape and start of each matrix of a module. Together they must leave the product as it is.
    func start(_ module: ModuleShape) -> [(shape: [Int], initial: Initializer)]

    /// What scales a new module's matrices, over its rank; without meaning for a method whose matrices have none.
    func alpha(for module: ModuleShape) -> Double

    /// The output of a changed product.
    /// - Parameters:
    ///   - pass: its input is what dropout leaves of it.
    ///   - module: the matrices in use.
    /// - Returns: in the shape and dtype of the pass's output.
    static func output(_ pass: ProjectionPass, _ module: ModuleValues) throws -> Tensor

    /// What ``output(_:_:)`` adds, where that is the input through two thin matrices: such products are made together with the
    /// frozen one. A method need not say it.
    static func addition(_ module: ModuleValues) -> LowRankAddition?

    /// Rows of the changed weight.
    /// - Parameters:
    ///   - weight: the frozen rows, [k, in], float32; of depthwise kernels `in` is the numbers of one kernel.
    ///   - rows: which of the module's rows they are.
    ///   - module: the matrices in use.
    /// - Returns: [k, in], float32.
    static func merged(_ weight: Tensor, rows: Range<Int>, _ module: ModuleValues) throws -> Tensor

    /// What a module changes in the official checkpoint. A method need not say it.
    static func change(of module: ModuleMatrices) throws -> WeightChange
}

extension ModuleMethod {
    /// False: `adapter_method` has to name it.
    public static var isDefault: Bool { false }
    /// None beside those that name modules.
    public static var formats: [any ModuleFormat.Type] { [] }
    /// Nil: kohya's scripts do not know the method.
    public static var networkModule: String? { nil }
    /// Nil: PEFT does not have the method.
    public static var peft: PEFTNames? { nil }
    /// None: no other method's keys look like these.
    public static var strangers: [StrangeKey] { [] }
    /// 1, for methods whose matrices have no rank.
    public func alpha(for module: ModuleShape) -> Double { 1 }
    /// Nil: ``output(_:_:)`` is called.
    public static func addition(_ module: ModuleValues) -> LowRankAddition? { nil }

    /// What ``merged(_:rows:_:)`` makes of the module's weight, row by row.
    public static func change(of module: ModuleMatrices) throws -> WeightChange {
        .module(try ModuleChange(module, merged))
    }

    /// The kind of the method's adapters, to be registered.
    public static var kind: ModuleKind<Self> { ModuleKind() }

    /// Whether its matrices have a rank, and with it alpha.
    static var hasRank: Bool { matrices.contains { $0.axes.contains(.rank) } }

    /// The key of a module's matrix in a native file.
    static func key(_ path: String, _ matrix: MethodMatrix) -> String { "\(path).\(matrix.key)" }
}

/// One of the matrices that a method has for each module.
public struct MethodMatrix: Sendable {
    /// What an axis of a matrix counts.
    public enum Axis: Sendable {
        /// Rows of the frozen weight.
        case outputs
        /// Columns of the frozen weight.
        case inputs
        /// The same number in all matrices of a module, of the adapter's choice.
        case rank
    }

    /// For people: "down".
    public let name: String
    /// Behind the module's path in native files, in kohya's and in ComfyUI's.
    public let key: String
    /// One, or two: rows and columns.
    public let axes: [Axis]
    /// How PEFT ends the matrix's key.
    public var peftKeys: [String] = []
    /// Further ends of keys that stand for the same.
    public var otherKeys: [String] = []
    /// Whether files of other programs have it in the shape of a convolution where the module is one.
    public var isShapedAsConvolution = false
    /// Whether all that the method adds is proportional to this matrix, so that a scale can go into it.
    public var carriesScale = false

    /// - Parameters:
    ///   - name: for people.
    ///   - key: behind the module's path in files.
    ///   - axes: one, or two: rows and columns.
    public init(_ name: String, key: String, axes: [Axis]) {
        self.name = name
        self.key = key
        self.axes = axes
    }

    /// Ends of keys by which it is known, ours first.
    var allKeys: [String] { [key] + peftKeys + otherKeys }
}

/// The matrices of a module in use, and the frozen product they change.
public struct ModuleValues {
    /// The shape of the module.
    public let shape: ModuleShape
    /// In the method's order, float32 while they are trained.
    public let matrices: [Tensor]
    /// `strength · alpha / rank`, or the strength alone of a method without a rank.
    public let scale: Double
    /// As the network keeps it.
    let matrix: Matrix?
    /// The frozen weight, [out, in], in float32; nil where the matrices come from a file without the network. Of a
    /// quantised base it is what the codes stand for, expanded at each call.
    public var weight: Tensor? { get throws { try matrix?.expanded(to: .float32) } }
    /// The frozen bias, [out]; nil where there is none.
    public let bias: Tensor?
}

/// How PEFT writes a method's configuration.
public struct PEFTNames: Sendable {
    /// The key of alpha: `lora_alpha`.
    public let alpha: String
    /// The key of dropout: `lora_dropout`.
    public let dropout: String

    /// - Parameters:
    ///   - alpha: the key of alpha.
    ///   - dropout: the key of dropout.
    public init(alpha: String, dropout: String) {
        self.alpha = alpha
        self.dropout = dropout
    }
}

/// A key by which a method is known that can't be used.
public struct StrangeKey: Sendable {
    /// How the key ends, or, where another dot or number may follow, a part of it.
    let mark: String
    let isEnding: Bool
    /// For people: "DoRA".
    public let method: String

    /// - Parameters:
    ///   - ending: how the key ends.
    ///   - method: for people.
    public init(ending: String, _ method: String) {
        (mark, isEnding, self.method) = (ending, true, method)
    }

    /// - Parameters:
    ///   - part: what the key has in it.
    ///   - method: for people.
    public init(part: String, _ method: String) {
        (mark, isEnding, self.method) = (part, false, method)
    }

    /// What stands before the mark in a key; nil where the key has none.
    func stem(of key: String) -> Substring? {
        if isEnding { return key.hasSuffix(mark) ? key.dropLast(mark.count) : nil }
        return key.firstRange(of: mark).map { key[..<$0.lowerBound] }
    }
}
