/// One piece of an expression's text.
struct Token {
    enum Kind: Equatable {
        case name(String)
        case symbol(String)
        case integer(Int128)
        case float(Double)
        case string(String)
        case end
    }

    let kind: Kind
    /// The scalar of the text at which it begins.
    let offset: Int
}

/// Cuts an expression's text into tokens, as Python does.
struct Lexer {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var brackets = 0

    /// Longer ones first, so that `<=` is not read as `<` and `=`.
    private static let symbols = [
        "**", "//", "<=", ">=", "==", "!=", "(", ")", "[", "]", ",", ":", ".", "+", "-", "*", "/", "%", "<", ">",
    ].map { Array($0.unicodeScalars) }

    static func tokens(_ text: String) throws -> [Token] {
        var lexer = Lexer(scalars: Array(text.unicodeScalars))
        var tokens: [Token] = []
        repeat { tokens.append(try lexer.next()) } while tokens.last?.kind != .end
        return tokens
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < scalars.count ? scalars[position + ahead] : nil
    }

    private mutating func next() throws -> Token {
        // A line may only be broken inside of brackets.
        while let scalar = peek(), scalar == " " || scalar == "\t" || brackets > 0 && (scalar == "\n" || scalar == "\r")
        {
            position += 1
        }
        let start = position
        guard let first = peek() else { return Token(kind: .end, offset: start) }
        if first.isDigit || first == "." && peek(1)?.isDigit == true {
            return Token(kind: try number(), offset: start)
        }
        if first.isNameStart {
            while peek()?.isNamePart == true { position += 1 }
            let name = String(String.UnicodeScalarView(scalars[start..<position]))
            let isQuoted = peek() == "'" || peek() == "\""
            if isQuoted, name.lowercased() == "r" {
                return Token(kind: .string(try string(isRaw: true)), offset: start)
            }
            if isQuoted, name.lowercased() == "u" {
                return Token(kind: .string(try string(isRaw: false)), offset: start)
            }
            if isQuoted { throw Problem(start, "a plain string; prefixes but r and u mean nothing here") }
            return Token(kind: .name(name), offset: start)
        }
        if first == "'" || first == "\"" { return Token(kind: .string(try string(isRaw: false)), offset: start) }
        guard let symbol = Self.symbols.first(where: { scalars[position...].starts(with: $0) }) else {
            throw Problem(start, "a name, a number, a string or an operator")
        }
        position += symbol.count
        if symbol == ["("] || symbol == ["["] { brackets += 1 }
        if symbol == [")"] || symbol == ["]"] { brackets -= 1 }
        return Token(kind: .symbol(String(String.UnicodeScalarView(symbol))), offset: start)
    }

    // MARK: Numbers

    private mutating func number() throws -> Token.Kind {
        let start = position
        if peek() == "0", let letter = peek(1), let radix = Self.radixes[letter] {
            position += 2
            if peek() == "_" { position += 1 }
            let digits = try digits(radix: radix)
            return .integer(try whole(digits, radix: radix, from: start))
        }
        let before = peek() == "." ? "" : try digits(radix: 10)
        var text = before
        var isFloat = false
        if peek() == "." {
            isFloat = true
            position += 1
            text += "." + (peek()?.isDigit == true ? try digits(radix: 10) : "0")
        }
        if peek() == "e" || peek() == "E" {
            let sign = peek(1) == "+" || peek(1) == "-" ? 1 : 0
            guard peek(1 + sign)?.isDigit == true else { throw Problem(position, "the digits of an exponent") }
            isFloat = true
            text += "e" + (sign == 1 ? String(scalars[position + 1]) : "")
            position += 1 + sign
            text += try digits(radix: 10)
        }
        if let after = peek(), after.isNamePart { throw Problem(position, "an operator or a space after the number") }
        if isFloat {
            guard let value = Double(before.isEmpty ? "0" + text : text) else { throw Problem(start, "a number") }
            return .float(value)
        }
        if before.first == "0", before.contains(where: { $0 != "0" }) {
            throw Problem(start, "a whole number without leading zeros")
        }
        return .integer(try whole(text, radix: 10, from: start))
    }

    private static let radixes: [Unicode.Scalar: Int] = ["x": 16, "X": 16, "o": 8, "O": 8, "b": 2, "B": 2]

    private func whole(_ digits: String, radix: Int, from start: Int) throws -> Int128 {
        if let after = peek(), after.isNamePart { throw Problem(position, "an operator or a space after the number") }
        guard let value = Int128(digits, radix: radix) else { throw Problem(start, "a number of at most 127 bits") }
        return value
    }

    /// Digits with single underscores between them, which are left out.
    private mutating func digits(radix: Int) throws -> String {
        var digits = ""
        while let scalar = peek() {
            if scalar == "_", !digits.isEmpty, let following = peek(1), following.isDigit(radix: radix) {
                position += 1
            } else if scalar.isDigit(radix: radix) {
                digits.unicodeScalars.append(scalar)
                position += 1
            } else {
                break
            }
        }
        guard !digits.isEmpty else { throw Problem(position, "a digit") }
        return digits
    }

    // MARK: Strings

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}", "b": "\u{8}", "f": "\u{c}",
        "v": "\u{b}",
    ]

    private mutating func string(isRaw: Bool) throws -> String {
        let start = position
        let quote = scalars[position]
        if peek(1) == quote, peek(2) == quote { throw Problem(start, "a string in single quotes or in double quotes") }
        position += 1
        var text = String.UnicodeScalarView()
        while let scalar = peek() {
            if scalar == quote {
                position += 1
                return String(text)
            }
            if scalar == "\n" || scalar == "\r" { throw Problem(position, "the end of the string on its line") }
            position += 1
            guard scalar == "\\", let escaped = peek() else {
                text.append(scalar)
                continue
            }
            if isRaw {
                text.append(contentsOf: [scalar, escaped])
                position += 1
            } else {
                try escape(escaped, into: &text)
            }
        }
        throw Problem(start, "a string that ends")
    }

    private mutating func escape(_ letter: Unicode.Scalar, into text: inout String.UnicodeScalarView) throws {
        let start = position - 1
        if let plain = Self.escapes[letter] {
            position += 1
            return text.append(plain)
        }
        let length: Int
        let radix: Int
        switch letter {
        case "x": (length, radix) = (2, 16)
        case "u": (length, radix) = (4, 16)
        case "U": (length, radix) = (8, 16)
        case _ where letter.isDigit(radix: 8): (length, radix) = (3, 8)
        case "N", "\n", "\r": throw Problem(start, "an escape such as \\n or \\u00e9")
        default:
            // Python keeps what it does not know as it stands.
            text.append(contentsOf: ["\\", letter])
            position += 1
            return
        }
        if radix == 16 { position += 1 }
        var digits = ""
        while digits.count < length, let digit = peek(), digit.isDigit(radix: radix) {
            digits.unicodeScalars.append(digit)
            position += 1
        }
        guard radix == 8 || digits.count == length, let code = UInt32(digits, radix: radix),
            let scalar = Unicode.Scalar(code)
        else { throw Problem(start, "an escape of \(length) digits that is a character") }
        text.append(scalar)
    }
}

extension Unicode.Scalar {
    fileprivate var isDigit: Bool { isDigit(radix: 10) }

    fileprivate func isDigit(radix: Int) -> Bool {
        isASCII && Character(self).hexDigitValue.map { $0 < radix } ?? false
    }

    fileprivate var isNameStart: Bool { self == "_" || properties.isXIDStart }
    fileprivate var isNamePart: Bool { properties.isXIDContinue }
}
