/// What of a text may be shown: printed, logged, or written into a report or the state of a run.
public enum ShownText {
    /// A text as a terminal may have it: without secrets, and on one line.
    public static func line(_ text: String) -> String { escaped(withoutSecrets(text)) }

    /// A text with whatever moves a terminal's cursor, colours it or turns its direction written as `\\u001b`, which is
    /// how JSON has it too.
    public static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09: false
        case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// A text in which `…` stands for what may be secret: of addresses user, password, query and fragment; of a `pipe:`
    /// all words but the program and the tars it names. What went through once stays as it is.
    public static func withoutSecrets(_ text: String) -> String {
        guard text.contains("://") || text.contains("pipe:") else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { withoutSecrets(line: $0) }
            .joined(separator: "\n")
    }

    private static func withoutSecrets(line: Substring) -> String {
        guard let start = line.firstRange(of: "pipe:"), line[start.upperBound...].first?.isWhitespace == false,
            line[..<start.lowerBound].last.map({ !$0.isLetter && !$0.isNumber }) ?? true
        else { return addresses(in: line) }
        return addresses(in: line[..<start.upperBound]) + command(line[start.upperBound...])
    }

    // MARK: Addresses

    private static func addresses(in text: Substring) -> String {
        var result = ""
        var rest = text
        while let mark = rest.firstRange(of: "://") {
            result += rest[..<mark.upperBound]
            let tail = rest[mark.upperBound...]
            var address = tail.prefix { !$0.isWhitespace && !"\"<>".contains($0) }
            // What a sentence puts behind an address.
            while let last = address.last, "'`,.;:)]".contains(last), !isHash(endOf: address) { address.removeLast() }
            result += shown(address)
            rest = tail[address.endIndex...]
        }
        return result + rest
    }

    /// An address behind its `://`.
    private static func shown(_ address: Substring) -> String {
        var rest = address
        let host = rest.prefix { !"/?#".contains($0) }
        let port = host.lastIndex(of: ":").map { host[host.index(after: $0)...] } ?? ""
        if let at = host.lastIndex(of: "@") {
            rest = rest[rest.index(after: at)...]
        } else if !port.allSatisfy({ $0.isNumber || "[]{}.,".contains($0) }), !host.contains("]") {
            // No port: the beginning of a password with a slash or the like in it.
            guard let at = rest.lastIndex(of: "@") else {
                return host.prefix { $0 != ":" } + ":…"
            }
            rest = rest[rest.index(after: at)...]
        }
        let place = rest.prefix { !"?#".contains($0) }
        let query = rest[place.endIndex...]
        let isShown = query.dropFirst().hasPrefix("…")
        return addresses(in: place) + (isShown ? String(query) : query.isEmpty ? "" : "\(query.prefix(1))…")
    }

    // MARK: Commands

    /// What follows `pipe:` on its line. A message that goes on behind a command as it is shown stays; where anything of
    /// the command is hidden, its end can't be told, and all the rest is.
    private static func command(_ text: Substring) -> String {
        var result = ""
        var rest = text
        while !rest.isEmpty {
            let space = rest.prefix(while: \.isWhitespace)
            let word = rest[space.endIndex...].prefix { !$0.isWhitespace }
            let bare = bareWord(word)
            let isShown = bare == "…" || isPlain(bare) && (result.isEmpty && !bare.isEmpty || isTar(bare))
            guard isShown || word.isEmpty else { return result + space + "…" }
            result += space + word
            rest = rest[word.endIndex...]
            if bare.endIndex < word.endIndex { return result + withoutSecrets(line: rest) }
        }
        return result
    }

    /// A word without the hash and the punctuation that end a command's name in a message.
    private static func bareWord(_ word: Substring) -> Substring {
        if let bracket = word.lastIndex(of: "["), isHash(word[bracket...].prefix(10)) { return word[..<bracket] }
        var bare = word
        while let last = bare.last, ":,".contains(last) { bare.removeLast() }
        return bare
    }

    private static func isPlain(_ word: Substring) -> Bool {
        word.hasPrefix("s3://")
            ? !word.contains { "=@?'\"$`".contains($0) } : !word.contains { "=@?:'\"$`".contains($0) }
    }

    private static func isTar(_ word: Substring) -> Bool { word.contains(".tar") || word.hasSuffix(".tgz") }

    /// Whether a text is eight hexadecimal digits in brackets.
    private static func isHash(_ text: Substring) -> Bool {
        text.utf8.count == 10 && text.first == "[" && text.last == "]"
            && text.dropFirst().dropLast().allSatisfy(\.isHexDigit)
    }

    private static func isHash(endOf text: Substring) -> Bool { isHash(text.suffix(10)) }
}
