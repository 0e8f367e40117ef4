import Failures
import Files
import JSON

/// A node of a configuration: what is written, where it stands, and its dotted path from the root.
///
/// A scalar keeps its text, and whoever asks for a value says of which type: `1e-4` is a number where a number is
/// asked for, `9/16` a string, `no` a truth value or a string.
public struct Setting: Sendable {
    /// What is written at a place, not yet read as any type.
    public enum Value: Sendable {
        /// `null`, `~`, or nothing at all.
        case null
        /// `quoted` where the text can only be a string: in quotes, a block, or tagged `!!str`.
        case scalar(text: String, quoted: Bool)
        /// A list, in block or flow style.
        case sequence([Setting])
        /// Keys with their values in the order in which they are written; no key comes twice.
        case mapping([Member])
    }

    /// A key of a mapping with its value.
    public struct Member: Sendable {
        /// As it is written, without the keys around it.
        public let key: String
        /// Where the key stands, for failures.
        public let place: Failure.Place
        /// What stands under the key, with a place and a path of its own.
        public let value: Setting
    }

    /// What is written here.
    public let value: Value
    /// File, line and column where it stands, as far as they are known.
    public let place: Failure.Place
    /// Keys and list indices from the root, joined by dots; empty at the root.
    public let path: String
    /// What gathers the values in effect while this is read; nil where nobody wants them.
    public private(set) var effective: EffectiveValues?

    init(_ value: Value, at place: Failure.Place, path: String) {
        self.value = value
        self.place = place
        self.path = path
    }

    /// The same, with its values in effect gathered while it is read.
    public func gathered(by effective: EffectiveValues?) -> Setting {
        var setting = self
        setting.effective = effective
        return setting
    }

    /// Whether it is `null`, `~`, or nothing at all.
    public var isNull: Bool {
        if case .null = value { true } else { false }
    }

    /// The text of a scalar.
    public var text: String? {
        if case .scalar(let text, _) = value { text } else { nil }
    }

    /// The elements of a sequence.
    public var elements: [Setting]? {
        if case .sequence(let elements) = value { elements } else { nil }
    }

    /// The members of a mapping in the order they were written.
    public var members: [Member]? {
        if case .mapping(let members) = value { members } else { nil }
    }

    /// The value under a key; nil where this is no mapping or has no such key.
    public subscript(key: String) -> Setting? { members?.first { $0.key == key }?.value }

    /// What is written here, for a failure's `got`: `abc`, `"4"`, `[0.9, 2]`, `a mapping`; of a list that is long or
    /// holds more than scalars `a list`.
    public var sample: String {
        switch value {
        case .null: "null"
        case .sequence(let elements):
            elements.count <= 4 && elements.allSatisfy { $0.text != nil }
                ? "[\(elements.map(\.sample).joined(separator: ", "))]" : "a list"
        case .mapping: "a mapping"
        case .scalar(let text, let quoted):
            (quoted ? "\"" : "") + text.prefix(60) + (text.count > 60 ? "…" : "") + (quoted ? "\"" : "")
        }
    }

    /// A failure of the input at this place that names the path and what is written here.
    /// - Parameter expected: What should stand here, such as "a number above 0".
    public func refusal(expected: String, advice: String? = nil) -> Failure {
        .input(
            path.isEmpty ? "not what belongs here" : "\"\(path)\" does not fit", at: place, expected: expected,
            got: sample, advice: advice)
    }

    func path(of key: some CustomStringConvertible) -> String { path.isEmpty ? "\(key)" : "\(path).\(key)" }
}

extension Setting {
    /// Reads a configuration of at most `maximumBytes`: JSON where the name ends in `.json` and the text begins with a
    /// brace, else YAML 1.1.
    public static func read(_ path: String, maximumBytes: Int = 16 << 20) throws -> Setting {
        try parse(readFile(path, limit: maximumBytes), file: path)
    }

    /// Reads the one document in a text, with the same limits as that in UTF-8 bytes.
    public static func parse(_ text: String, file: String) throws -> Setting {
        try parse(Array(text.utf8), file: file)
    }

    /// Reads the one document in UTF-8 bytes; nothing at all is null.
    ///
    /// Refused, with the place: what the grammar does not allow, a key given twice, a second document, tags other than
    /// those of the plain types, merge keys, an alias to what is not complete, nesting deeper than 64, and more than
    /// 100,000 nodes, an alias counting as all it stands for.
    /// - Parameter file: The name that stands in front of every place.
    public static func parse(_ bytes: [UInt8], file: String) throws -> Setting {
        let first = bytes.first { !($0 == 0x20 || (0x09...0x0D).contains($0)) }
        if file.hasSuffix(".json"), first == UInt8(ascii: "{") {
            let (json, places) = try JSON.parseWithPlaces(bytes, file: file)
            var remaining = places[...]
            return Setting(json, at: { remaining.popFirst() ?? Failure.Place(file) }, path: "")
        }
        return try YAMLDocument.read(bytes, file: file)
    }
}
