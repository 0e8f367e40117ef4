/// The sections of an INI file as AWS's tools write them: `[NAME]`, `[profile NAME]`, `key = value`, comments with `#`
/// or `;`. Indented lines (settings within a setting) and lines that mean nothing are passed over.
struct INIFile {
    private(set) var sections: [String: [String: String]] = [:]

    init(_ text: String) {
        var section: String?
        for line in text.split(whereSeparator: \.isNewline) {
            guard let first = line.first, first != "#", first != ";", !first.isWhitespace else { continue }
            if first == "[" {
                section = line.dropFirst().firstIndex(of: "]").map { Self.trimmed(line[..<$0].dropFirst()) }
                if let section { sections[section, default: [:]] = sections[section] ?? [:] }
            } else if let section, let equals = line.firstIndex(of: "=") {
                let key = Self.trimmed(line[..<equals]).lowercased()
                sections[section, default: [:]][key] = Self.trimmed(line[line.index(after: equals)...])
            }
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
