import JSON
import Settings
import Torch
import Weights

/// Something small that changes what a frozen model computes: LoRA layers, learned tokens, a ControlNet.
///
/// A new adapter computes what the model computed before; detached, it leaves the model as it was.
public protocol Adapter: AnyObject, SendableMetatype {
    /// The name of the kind in files and messages.
    static var kind: String { get }

    /// The key of a training configuration for a learning rate of this kind's own.
    static var rateKey: String { get }

    /// That key, and those for parts of an adapter.
    static var rateKeys: [String] { get }

    /// Which of them a parameter's rate has.
    static func rateKey(of parameter: String) -> String

    /// Reads the keys of a training configuration that belong to this kind.
    /// - Returns: how to make the adapter once the model stands; nil where the configuration asks for none.
    static func plan(_ fields: inout Fields) throws -> AdapterPlan?

    /// The adapter that a file holds for this model; nil where it holds none of this kind.
    /// - Throws: a failure of the input where the file is of this kind and does not fit the model.
    static func read(_ file: AdapterFile, for model: AdaptedModel) throws -> Self?

    /// The format by whose keys a file of another program is recognised as one of this kind; nil where it is none.
    ///
    /// A recognised file may still turn out to be damaged when it is read.
    static func foreignFormat(of file: any NamedTensors) -> ForeignFormat?

    /// What a file of another program holds of this kind, as it would stand in a native file; nil where there is none.
    /// - Throws: a failure of the input where the file is damaged, or lacks what `reading` does not say either.
    static func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter?

    /// Adds what a native file holds of this kind to an export. For the native format that is done already; this is
    /// the place to check it.
    /// - Throws: a failure of the input where the format cannot hold it.
    static func export(_ file: AdapterFile, to export: inout AdapterExport) throws

    /// What `inspect` says of a file's adapter of this kind.
    static func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)]

    /// What a file holds of this kind, as changes of the official checkpoint's tensors; nil where it holds none.
    /// - Throws: a failure of the input where the file is damaged, or where this kind cannot become part of a base.
    static func changes(in file: AdapterFile) throws -> [WeightChange]?

    /// What an optimizer trains, float32, by its key in the adapter's file.
    var parameters: [(name: String, tensor: Tensor)] { get }

    /// Whether weight decay applies: it does to weights, not to what stands for a word.
    var decays: Bool { get }

    /// Whether parts of it are dropped at random while it is trained.
    var drops: Bool { get }

    /// Drops from now on what the seed says, the same in every pass; nothing where there is none.
    func drop(seed: UInt64?)

    /// Starts to change what the model computes.
    func attach() throws

    /// Leaves the model as it was.
    func detach()

    /// Adds the adapter to the model's weights for good. It must not be attached.
    func fuse() throws

    /// Adds all that is needed to use the adapter elsewhere.
    func write(to contents: inout AdapterContents) throws
}

extension Adapter {
    public static var rateKey: String { "\(kind)_lr" }
    public static var rateKeys: [String] { [rateKey] }
    public static func rateKey(of parameter: String) -> String { rateKey }
    public var drops: Bool { false }
    public func drop(seed: UInt64?) {}
}

/// How to make an adapter that a configuration asks for.
public struct AdapterPlan {
    /// What will be trained, for people: "LoRA of rank 4 on 24 modules".
    public let summary: (AdaptedModel) throws -> String
    /// What it will consist of, told from shapes alone: neither weights nor, where it can do without, a text model
    /// need be there.
    public let parts: (AdaptedModel) throws -> AdapterParts
    /// Makes it, drawing what is drawn from the generator.
    public let make: (AdaptedModel, Generator) throws -> any Adapter
    /// Brings to an adapter that came from a file what the configuration says of its training.
    public let settle: (any Adapter) -> Void

    public init(
        summary: @escaping (AdaptedModel) throws -> String,
        parts: @escaping (AdaptedModel) throws -> AdapterParts,
        make: @escaping (AdaptedModel, Generator) throws -> any Adapter,
        settle: @escaping (any Adapter) -> Void = { _ in }
    ) {
        self.summary = summary
        self.parts = parts
        self.make = make
        self.settle = settle
    }
}

/// What an adapter consists of.
public struct AdapterParts: Equatable, Sendable {
    public var kind: String
    /// The shapes of what is trained, float32.
    public var shapes: [[Int]]
    /// The modules it attaches to, by path.
    public var modules: [String]
    /// What could not be told yet, and why.
    public var unknown: String?

    /// Numbers that are trained.
    public var parameters: Int { shapes.reduce(0) { $0 + $1.reduce(1, *) } }

    public init(kind: String, shapes: [[Int]], modules: [String] = [], unknown: String? = nil) {
        self.kind = kind
        self.shapes = shapes
        self.modules = modules
        self.unknown = unknown
    }
}
