import JSON
import Settings

/// A configuration as logs show it: as written and overridden, without what may be secret in places of data.
///
/// Of an address user, password and query are left out, of a `pipe:` all but the program.
struct ConfigurationText {
    private let setting: Setting

    init(_ setting: Setting) { self.setting = setting }

    /// The keys in the order they were written, each on a line of YAML.
    var yaml: String {
        (setting.members ?? []).map { "\($0.key): \(Self.line($0.value))\n" }.joined()
    }

    /// The keys with their values.
    var json: JSON { Self.cleaned(setting.json) }

    private static func line(_ setting: Setting) -> String {
        switch setting.value {
        case .null: return ""
        case .scalar(let text, quoted: false): return cleaned(text)
        case .scalar(let text, quoted: true): return JSON.string(cleaned(text)).text()
        case .sequence(let elements): return "[" + elements.map(line).joined(separator: ", ") + "]"
        case .mapping(let members):
            return "{" + members.map { "\($0.key): \(line($0.value))" }.joined(separator: ", ") + "}"
        }
    }

    private static func cleaned(_ json: JSON) -> JSON {
        switch json {
        case .string(let text): return .string(cleaned(text))
        case .array(let elements): return .array(elements.map(cleaned))
        case .object(var object):
            for (key, value) in object { object[key] = cleaned(value) }
            return .object(object)
        default: return json
        }
    }

    private static func cleaned(_ text: String) -> String {
        if text.hasPrefix("pipe:") {
            let words = text.dropFirst(5).split(whereSeparator: \.isWhitespace)
            return "pipe:" + (words.first ?? "") + (words.count > 1 ? " …" : "")
        }
        let parts = text.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count > 2, parts[0].hasSuffix(":"), parts[1].isEmpty else { return text }
        let host = parts[2].split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        let rest = parts.dropFirst(3).joined().split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return "\(parts[0])//\(host)" + (parts.count > 3 ? "/" : "") + (rest.first ?? "") + (rest.count > 1 ? "?…" : "")
    }
}
