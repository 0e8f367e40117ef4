/// A function that may be called by its name.
enum Function: String, CaseIterable, Sendable {
    case len, abs, min, max

    static let names = allCases.map { "\($0.rawValue)()" }.joined(separator: ", ")

    func takes(_ count: Int) -> Bool { self == .min || self == .max ? count >= 1 : count == 1 }

    var argumentsText: String { self == .min || self == .max ? "at least one argument" : "one argument" }

    func result(_ arguments: [Value], at offset: Int) throws -> Value {
        let first = arguments[0]
        switch self {
        case .len:
            if let elements = first.elements { return .integer(Int128(elements.count)) }
            guard case .string(let text) = first else { throw Problem(offset, "\(first.kind) has no length") }
            return .integer(Int128(text.unicodeScalars.count))
        case .abs:
            if case .float(let value) = first { return .float(value.magnitude) }
            guard let whole = first.whole else { throw Problem(offset, "\(first.kind) has no absolute value") }
            return whole < 0 ? try Arithmetic.minus.result(.integer(0), .integer(whole), at: offset) : .integer(whole)
        case .min: return try extreme(arguments, at: offset) { $0 == .less }
        case .max: return try extreme(arguments, at: offset) { $0 == .greater }
        }
    }

    /// The first value that no other beats.
    private func extreme(_ arguments: [Value], at offset: Int, beats: (Value.Order) -> Bool) throws -> Value {
        var values = arguments
        if arguments.count == 1 {
            if let elements = arguments[0].elements {
                values = elements
            } else if case .string(let text) = arguments[0] {
                values = text.unicodeScalars.map { .string(String($0)) }
            } else {
                throw Problem(offset, "\(rawValue) of \(arguments[0].kind)")
            }
        }
        guard var best = values.first else { throw Problem(offset, "\(rawValue) of nothing") }
        for value in values.dropFirst() where try beats(Value.order(value, best, at: offset)) { best = value }
        return best
    }
}

/// A method of a string.
enum Method: String, CaseIterable, Sendable {
    case lower, upper, strip, startswith, endswith

    static let names = allCases.map { ".\($0.rawValue)()" }.joined(separator: ", ")

    /// How many arguments it takes.
    var takes: ClosedRange<Int> {
        switch self {
        case .lower, .upper: 0...0
        case .strip: 0...1
        case .startswith, .endswith: 1...1
        }
    }

    var argumentsText: String {
        switch self {
        case .lower, .upper: "no argument"
        case .strip: "at most one argument"
        case .startswith, .endswith: "one argument"
        }
    }

    func result(of receiver: Value, _ arguments: [Value], at offset: Int) throws -> Value {
        guard case .string(let text) = receiver else { throw Problem(offset, "\(receiver.kind) has no \(rawValue)()") }
        switch self {
        case .lower: return .string(text.lowercased())
        case .upper: return .string(text.uppercased())
        case .strip: return .string(try stripped(text, of: arguments.first ?? .none, at: offset))
        case .startswith, .endswith:
            return .bool(
                try candidates(arguments[0], at: offset).contains { part in
                    self == .startswith
                        ? text.utf8.starts(with: part.utf8) : text.utf8.reversed().starts(with: part.utf8.reversed())
                })
        }
    }

    private func stripped(_ text: String, of what: Value, at offset: Int) throws -> String {
        let isStripped: (Unicode.Scalar) -> Bool
        switch what {
        case .none: isStripped = { $0.properties.isWhitespace || (0x1c...0x1f).contains($0.value) }
        case .string(let characters):
            let set = Set(characters.unicodeScalars)
            isStripped = set.contains
        default: throw Problem(offset, "strip of \(what.kind)")
        }
        let head = text.unicodeScalars.drop(while: isStripped)
        let kept = head.reversed().drop(while: isStripped).reversed()
        return String(String.UnicodeScalarView(kept))
    }

    /// The string or the strings of a tuple.
    private func candidates(_ value: Value, at offset: Int) throws -> [String] {
        func text(_ value: Value) throws -> String {
            guard case .string(let text) = value else { throw Problem(offset, "\(rawValue) with \(value.kind)") }
            return text
        }
        if case .tuple(let values) = value { return try values.map(text) }
        return [try text(value)]
    }
}
