/// An element of the XML that S3 answers with: its name, its text, the elements in it.
///
/// No more of XML is read than S3 writes: attributes, comments and the declaration are passed over, a document type is
/// refused (it could define entities without end), depth is bounded.
struct XMLElement: Equatable {
    var name: String
    /// Without the text of the elements in it.
    var text = ""
    var children: [XMLElement] = []

    /// The text of the first child of a name.
    subscript(name: String) -> String? { children.first { $0.name == name }?.text }

    /// Reads a document; nil for what is none.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var reader = XMLReader(rest: text.utf8[...])
        guard let element = reader.document() else { return nil }
        self = element
    }

    fileprivate init(name: String) { self.name = name }
}

private struct XMLReader {
    static let mostDepth = 16

    var rest: Substring.UTF8View

    mutating func document() -> XMLElement? {
        skip("\u{FEFF}")
        guard skipMisc(), let element = element(depth: 1), skipMisc(), rest.isEmpty else { return nil }
        return element
    }

    /// Passes over white space, comments and processing instructions; false where one has no end.
    private mutating func skipMisc() -> Bool {
        while true {
            rest = rest.drop(while: Self.isSpace)
            if skip("<?") {
                guard take(until: "?>") != nil else { return false }
            } else if skip("<!--") {
                guard take(until: "-->") != nil else { return false }
            } else {
                return true
            }
        }
    }

    /// An element from its opening bracket on.
    private mutating func element(depth: Int) -> XMLElement? {
        guard depth <= Self.mostDepth, skip("<"), let tag = tag() else { return nil }
        var element = XMLElement(name: tag.name)
        if tag.isEmpty { return element }
        while true {
            guard let text = decoded(rest.prefix { $0 != UInt8(ascii: "<") }) else { return nil }
            element.text += text
            rest = rest.drop { $0 != UInt8(ascii: "<") }
            if skip("</") {
                guard let end = take(until: ">"), end.hasPrefix(tag.name),
                    end.utf8.dropFirst(tag.name.utf8.count).allSatisfy(Self.isSpace)
                else { return nil }
                return element
            } else if skip("<!--") {
                guard take(until: "-->") != nil else { return nil }
            } else if skip("<![CDATA[") {
                guard let text = take(until: "]]>") else { return nil }
                element.text += text
            } else {
                guard let child = self.element(depth: depth + 1) else { return nil }
                element.children.append(child)
            }
        }
    }

    /// The rest of an opening tag: name, attributes, bracket.
    private mutating func tag() -> (name: String, isEmpty: Bool)? {
        let name = rest.prefix { !Self.isSpace($0) && $0 != UInt8(ascii: ">") && $0 != UInt8(ascii: "/") }
        guard let first = name.first, first > 0x3F || first == UInt8(ascii: ":") else { return nil }
        rest = rest[name.endIndex...]
        var quote: UInt8?
        while let byte = rest.popFirst() {
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                return (String(name) ?? "", false)
            } else if byte == UInt8(ascii: "/"), skip(">") {
                return (String(name) ?? "", true)
            }
        }
        return nil
    }

    /// Text with its entities; nil where one is none of XML's own.
    private func decoded(_ text: Substring.UTF8View) -> String? {
        var decoded = ""
        var rest = text
        while let ampersand = rest.firstIndex(of: UInt8(ascii: "&")) {
            decoded += String(rest[..<ampersand]) ?? ""
            let after = rest[rest.index(after: ampersand)...]
            guard let end = after.prefix(12).firstIndex(of: UInt8(ascii: ";")), let name = String(after[..<end]),
                let scalar = Self.entity(name)
            else { return nil }
            decoded.unicodeScalars.append(scalar)
            rest = after[after.index(after: end)...]
        }
        return decoded + (String(rest) ?? "")
    }

    private static func entity(_ name: String) -> Unicode.Scalar? {
        switch name {
        case "amp": "&"
        case "lt": "<"
        case "gt": ">"
        case "quot": "\""
        case "apos": "'"
        case _ where name.hasPrefix("#x"): UInt32(name.dropFirst(2), radix: 16).flatMap(Unicode.Scalar.init)
        case _ where name.hasPrefix("#"): UInt32(name.dropFirst()).flatMap(Unicode.Scalar.init)
        default: nil
        }
    }

    @discardableResult
    private mutating func skip(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    /// What stands before a mark, which is passed over; nil where the mark never comes.
    private mutating func take(until mark: String) -> String? {
        var end = rest
        while let first = mark.utf8.first, let place = end.firstIndex(of: first) {
            end = end[place...]
            if end.starts(with: mark.utf8) {
                defer { rest = end.dropFirst(mark.utf8.count) }
                return String(rest[..<place])
            }
            end = end.dropFirst()
        }
        return nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
