import Failures
import Files

extension JSON {
    /// The same with its texts and keys as ``ShownText`` has them.
    public var withoutSecrets: JSON {
        switch self {
        case .string(let text): return .string(ShownText.withoutSecrets(text))
        case .array(let elements): return .array(elements.map(\.withoutSecrets))
        case .object(let members):
            var shown = Object()
            for (key, value) in members { shown[ShownText.withoutSecrets(key)] = value.withoutSecrets }
            return .object(shown)
        default: return self
        }
    }

    /// Compact JSON text: no spaces, a double in the fewest digits that read back the same, a number that is not
    /// finite as `null`.
    /// - Parameter sorted: Keys by code point instead of in their own order.
    public func text(sorted: Bool = false) -> String {
        var text = ""
        write(into: &text, sorted: sorted)
        return text
    }

    private func write(into text: inout String, sorted: Bool) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += value.isFinite ? value.description : "null"
        case .string(let value): Self.write(value, into: &text)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(into: &text, sorted: sorted)
            }
            text += "]"
        case .object(let object):
            let order =
                sorted
                ? object.keys.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) } : object.keys
            text += "{"
            for (index, key) in order.enumerated() {
                if index > 0 { text += "," }
                Self.write(key, into: &text)
                text += ":"
                (object[key] ?? .null).write(into: &text, sorted: sorted)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, into text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            case "\0"..<" ":
                text += "\\u" + zeroPadded(scalar.value, digits: 4, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
