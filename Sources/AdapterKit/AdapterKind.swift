import JSON
import Settings
import Torch
import Weights

/// A kind of adapter, as a program registers it: what a configuration asks of it, what files hold of it, and how one is
/// made or read.
///
/// Most kinds change the products of a network by a few small matrices for each: those are a ``ModuleMethod``, and the
/// rest of their kind is written once, in ``ModuleKind``.
public protocol AdapterKind: Sendable {
    /// The name in files and messages, such as "lora".
    var name: String { get }

    // MARK: Configuration

    /// The names by which `adapter_method` of a configuration can ask for this kind; empty where other keys do.
    var methods: [String] { get }

    /// The keys for learning rates of this kind's own.
    var rateKeys: [String] { get }

    /// Which of them a parameter's rate has.
    func rateKey(of parameter: String) -> String

    /// Further keys that say how it is trained, and nothing of what the loss is measured on.
    var trainingKeys: [String] { get }

    /// Reads the keys of a training configuration that belong to this kind.
    /// - Returns: how to make the adapter once the model stands; nil where the configuration asks for none.
    func plan(_ fields: inout Fields) throws -> AdapterPlan?

    /// Adds what a configuration says of an adapter's file that does not say everything itself.
    func complete(_ reading: inout AdapterReading, from setting: Setting)

    // MARK: Files

    /// The adapter that a native file holds for some networks; nil where it holds nothing of this kind for them.
    /// - Throws: a failure of the input where the file does not fit the networks.
    func read(_ file: AdapterFile, for networks: AdaptedNetworks) throws -> (any Adapter)?

    /// What the adapter of a native file would train, told from names and shapes alone.
    func parts(of file: AdapterFile) throws -> AdapterParts

    /// What `inspect` says of a native file's adapter of this kind.
    func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)]

    /// What a native file holds of this kind, as changes of the official checkpoint's tensors; nil where it holds none.
    /// - Throws: a failure of the input where the file is damaged, or where this kind cannot become part of a base.
    func changes(in file: AdapterFile) throws -> [WeightChange]?

    /// The format by whose keys a file of another program is recognised as one of this kind; nil where it is none.
    ///
    /// A recognised file may still turn out to be damaged when it is read.
    func foreignFormat(of file: any NamedTensors) -> ForeignFormat?

    /// What a file of another program holds of this kind, as it would stand in a native file; nil where there is none.
    /// - Throws: a failure of the input where the file is damaged, or lacks what `reading` does not say either.
    func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter?

    /// The ends of keys, or parts of them, by which methods are known that this kind resembles and cannot use.
    var strangers: [StrangeKey] { get }

    /// Adds what a native file holds of this kind to an export. For the native format that is done already; this is
    /// the place to check it.
    /// - Throws: a failure of the input where the format cannot hold it.
    func export(_ file: AdapterFile, to export: inout AdapterExport) throws
}

extension AdapterKind {
    /// None: no `adapter_method` asks for the kind.
    public var methods: [String] { [] }
    /// One rate for all parameters: `NAME_lr`.
    public var rateKeys: [String] { ["\(name)_lr"] }
    /// The first of ``rateKeys``, whatever the parameter.
    public func rateKey(of parameter: String) -> String { rateKeys[0] }
    /// None beside the rates.
    public var trainingKeys: [String] { [] }
    /// None: the kind resembles no other.
    public var strangers: [StrangeKey] { [] }
    /// Adds nothing: the kind's files say everything.
    public func complete(_ reading: inout AdapterReading, from setting: Setting) {}
}

/// How to make an adapter that a configuration asks for.
public struct AdapterPlan {
    /// The name of its kind.
    var kind = ""
    /// What will be trained, for people: "LoRA of rank 4 on 24 modules".
    public let summary: (AdaptedModel) throws -> String
    /// What it will consist of, told from shapes alone: neither weights nor, where it can do without, a text model
    /// need be there.
    public let parts: (AdaptedModel) throws -> AdapterParts
    /// Makes it, drawing what is drawn from the generator.
    public let make: (AdaptedModel, Generator) throws -> any Adapter
    /// Brings to an adapter that came from a file what the configuration says of its training.
    public let settle: (any Adapter) -> Void
    /// How a file of its kind goes on by the configuration; nil where the file alone says what is trained.
    /// - Throws: a failure of the input where the two say different things.
    public let continuation: ((AdapterFile, AdaptedModel) throws -> AdapterContinuation)?

    /// - Parameters:
    ///   - summary: what will be trained, for people.
    ///   - parts: what it will consist of, told from shapes alone.
    ///   - make: makes it, drawing from the generator.
    ///   - settle: brings the configuration's training to an adapter that came from a file.
    ///   - continuation: how a file of the kind goes on; nil where the file alone says what is trained.
    public init(
        summary: @escaping (AdaptedModel) throws -> String,
        parts: @escaping (AdaptedModel) throws -> AdapterParts,
        make: @escaping (AdaptedModel, Generator) throws -> any Adapter,
        settle: @escaping (any Adapter) -> Void = { _ in },
        continuation: ((AdapterFile, AdaptedModel) throws -> AdapterContinuation)? = nil
    ) {
        self.summary = summary
        self.parts = parts
        self.make = make
        self.settle = settle
        self.continuation = continuation
    }
}

/// A file's adapter that a configuration goes on with.
public struct AdapterContinuation {
    /// What it will consist of.
    public let parts: AdapterParts
    /// What the configuration asks for and the file lacks, for people: "2 modules, such as `clf.1`"; nil for nothing.
    public let added: String?
    /// Makes it, drawing what is added from the generator.
    public let make: (Generator) throws -> any Adapter

    /// - Parameters:
    ///   - parts: what it will consist of.
    ///   - added: what the file lacks, for people; nil for nothing.
    ///   - make: makes it, drawing what is added from the generator.
    public init(parts: AdapterParts, added: String?, make: @escaping (Generator) throws -> any Adapter) {
        self.parts = parts
        self.added = added
        self.make = make
    }
}

/// What an adapter consists of.
public struct AdapterParts: Equatable, Sendable {
    /// The name of the kind.
    public var kind: String
    /// The shapes of what is trained, float32.
    public var shapes: [[Int]]
    /// The modules it attaches to, by path.
    public var modules: [String]
    /// What could not be told yet, and why.
    public var unknown: String?

    /// Numbers that are trained.
    public var parameters: Int { shapes.reduce(0) { $0 + $1.reduce(1, *) } }

    /// - Parameters:
    ///   - kind: the name of the kind.
    ///   - shapes: of what is trained, float32.
    ///   - modules: it attaches to these, by path.
    ///   - unknown: what could not be told yet, and why.
    public init(kind: String, shapes: [[Int]], modules: [String] = [], unknown: String? = nil) {
        self.kind = kind
        self.shapes = shapes
        self.modules = modules
        self.unknown = unknown
    }
}
