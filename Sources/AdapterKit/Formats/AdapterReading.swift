import Cascade
import Failures
import JSON
import Weights

/// What may be needed to read an adapter file that does not say everything about itself.
public struct AdapterReading {
    /// A token's text and the pattern of the words it started from.
    public struct Token: Sendable {
        /// The text, as captions have it.
        public let text: String
        /// The expression whose tokens it started from; nil where that is not known.
        public let pattern: String?

        /// - Parameters:
        ///   - text: as captions have it.
        ///   - pattern: the expression whose tokens it started from.
        public init(text: String, pattern: String?) {
            self.text = text
            self.pattern = pattern
        }
    }

    /// The Stage C that a file without module names belongs to.
    public var architecture: StageCConfiguration?
    /// The modules that a file without module names was trained on.
    public var moduleFilters: [String] = []
    /// The tokens that a file without texts holds.
    public var tokens: [Token] = []
    /// The residual blocks of a ControlNet whose file does not name them.
    public var controlNetBlocks: [Int] = []
    /// The text model that relative vectors count from.
    public var text: TextEncoder?

    /// Knows at most the architecture.
    public init(architecture: StageCConfiguration? = nil) { self.architecture = architecture }
}

/// What a foreign file holds of one kind of adapter, under the names and descriptions of the native format.
public struct ForeignAdapter {
    /// The name of the kind.
    public let kind: String
    /// By what the file was recognised.
    public let format: ForeignFormat
    /// None where the file only has room for this kind.
    public var tensors: [(name: String, tensor: StoredTensor)] = []
    /// The description, as ``AdapterContents/describe(_:_:)`` writes it.
    public private(set) var metadata: [String: String] = [:]
    /// The keys of the file that this was made of, or that are known to say nothing.
    public var used: Set<String> = []

    /// An adapter with nothing in it yet.
    public init(kind: String, format: ForeignFormat) {
        self.kind = kind
        self.format = format
    }

    /// Describes the adapter as `AdapterContents.describe` does.
    public mutating func describe(_ name: String, _ value: JSON) { metadata[name] = value.stringValue ?? value.text() }

    /// Whether another one describes something under the same name and says otherwise; the base's name aside.
    fileprivate func clashes(with other: ForeignAdapter) -> Bool {
        metadata.contains { name, text in name != "base_model" && other.metadata[name].map { $0 != text } ?? false }
    }
}

extension PlugIns {
    /// The formats by which a file that is not ours is recognised, one for each kind in it.
    public func foreignFormats(of file: any NamedTensors) -> [ForeignFormat] {
        if file.metadata["format"] == AdapterFile.format { return [] }
        let found = kinds.compactMap { $0.foreignFormat(of: file) }
        guard found.isEmpty, let stranger = stranger(among: file.entries.map(\.name)) else { return found }
        return [stranger.format.foreign("unsupported", stranger.method)]
    }

    /// The kinds of adapter that a file of any format holds, told by its description or its keys; empty where it is none.
    public func kindNames(in file: any NamedTensors) -> [String] {
        if file.metadata["format"] == AdapterFile.format {
            return (file.metadata["kind"] ?? "").split(separator: ",").map(String.init)
        }
        return kinds.filter { $0.foreignFormat(of: file) != nil }.map(\.name)
    }

    /// The first of some keys that is of a method which no kind can use.
    private func stranger(among keys: [String]) -> KeyedFormat.Stranger? {
        KeyedFormat.stranger(among: keys, kinds.flatMap(\.strangers))
    }

    private func refusal(of stranger: KeyedFormat.Stranger, at place: Failure.Place) -> Failure {
        .input(
            "\(stranger.method) cannot be used here", at: place,
            expected: "\(adapters.flatMap(\.methods).joined(separator: " or ")) on Stage C or the text encoder",
            got: "`\(stranger.key)`")
    }

    /// Opens an adapter of any format; a foreign one is seen in the native format from then on.
    /// - Throws: a failure of the input that says what is wrong with the file or what it lacks.
    public func open(_ path: String, _ reading: AdapterReading = .init()) throws -> AdapterFile {
        try open(Tensors.open(path), reading)
    }

    /// The same of tensors that are open already.
    public func open(_ file: any NamedTensors, _ reading: AdapterReading = .init()) throws -> AdapterFile {
        if file.metadata["format"] == AdapterFile.format { return try AdapterFile(file) }
        let place = Failure.Place(file.path)
        let recognised = try kinds.compactMap { try $0.foreign(file, reading) }
        let found = recognised.filter { !$0.tensors.isEmpty }
        guard !found.isEmpty else {
            if let stranger = stranger(among: file.entries.map(\.name)) { throw refusal(of: stranger, at: place) }
            throw Failure.input(
                "not an adapter of a known format", at: place,
                expected: "native, stability, kohya, comfyui, OneTrainer or diffusers",
                got: file.entries.first.map { "a file with `\($0.name)`" } ?? "a file without tensors")
        }
        let used = recognised.reduce(into: Set<String>()) { $0.formUnion($1.used) }
        let strange = file.entries.map(\.name).filter { !used.contains($0) }
        guard strange.isEmpty else {
            if let stranger = stranger(among: strange) { throw refusal(of: stranger, at: place) }
            throw Failure.input(
                "the file mixes \(found[0].format.description) with what does not belong to it", at: place,
                got: "\(strange.count) tensors such as `\(strange[0])`")
        }
        var metadata = Self.origin(of: file)
        for (index, adapter) in found.enumerated() {
            // Two methods in one file would each have a rank of its own.
            if let other = found[..<index].first(where: { $0.clashes(with: adapter) }) {
                throw Failure.input(
                    "the file mixes two kinds of adapter", at: place, expected: "one of them",
                    got: "\(other.format.description) and \(adapter.format.description)")
            }
            metadata.merge(adapter.metadata) { $1 }
        }
        metadata["format"] = AdapterFile.format
        metadata["format_version"] = AdapterFile.version
        metadata["kind"] = found.map(\.kind).joined(separator: ",")
        metadata["source_format"] = found.map(\.format.name).joined(separator: ",")
        return try AdapterFile(
            TensorView(path: file.path, found.flatMap(\.tensors), metadata: metadata))
    }

    /// What is known of where a foreign file comes from: all of it where we exported the file, else next to nothing.
    private static func origin(of file: any NamedTensors) -> [String: String] {
        var metadata = [
            "base_model": "unknown", "base_sha256": "", "base_licence": BaseModel.possibleLicence, "trained_steps": "0",
        ]
        for (name, text) in AdapterFile.carried(by: file) where metadata[name] != nil || name == "module_filters" {
            metadata[name] = text
        }
        return metadata
    }
}

extension AdapterFile {
    /// The one text of an exported file that holds our descriptions, for whoever brings it back.
    static let carriedKey = "cascade_adapt"

    /// The native descriptions that a file we exported carries; empty where there are none.
    public static func carried(by file: any NamedTensors) -> [String: String] {
        guard let text = file.metadata[carriedKey],
            let object = try? JSON.parse(text, file: file.path).objectValue
        else { return [:] }
        var texts: [String: String] = [:]
        for (name, value) in object { texts[name] = value.stringValue }
        return texts
    }

    /// Descriptions alone, without any tensor.
    public init(describing metadata: [String: String], path: String) throws {
        try self.init(TensorView(path: path, [], metadata: metadata))
    }

    /// What `carried` reads back.
    var descriptions: JSON {
        var object = JSON.Object()
        for (name, text) in weights.metadata.sorted(by: { $0.key < $1.key }) { object[name] = .string(text) }
        return .object(object)
    }
}
