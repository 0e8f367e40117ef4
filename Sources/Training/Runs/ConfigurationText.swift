import Failures
import JSON
import Settings

/// A configuration as logs show it: as written and overridden, without what may be secret, as ``ShownText`` says it.
struct ConfigurationText {
    private let setting: Setting

    init(_ setting: Setting) { self.setting = setting }

    /// The keys in the order they were written, each on a line of YAML.
    var yaml: String {
        (setting.members ?? []).map { "\($0.key): \(Self.line($0.value))\n" }.joined()
    }

    /// The keys with their values.
    var json: JSON { setting.json.withoutSecrets }

    private static func line(_ setting: Setting) -> String {
        switch setting.value {
        case .null: return ""
        case .scalar(let text, quoted: false): return ShownText.withoutSecrets(text)
        case .scalar(let text, quoted: true): return JSON.string(ShownText.withoutSecrets(text)).text()
        case .sequence(let elements): return "[" + elements.map(line).joined(separator: ", ") + "]"
        case .mapping(let members):
            return "{" + members.map { "\($0.key): \(line($0.value))" }.joined(separator: ", ") + "}"
        }
    }
}
