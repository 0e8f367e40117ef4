/// Numbers and strings.
extension Parser {
    mutating func number() throws -> JSON {
        let start = position
        let isNegative = skip("-")
        if isNegative, dialect == .python, byte == UInt8(ascii: "I") {
            return try word("Infinity", .number(-.infinity))
        }
        if !skip("0") { try digits() }
        var whole = true
        if skip(".") {
            whole = false
            try digits()
        }
        if skip("e") || skip("E") {
            whole = false
            if !skip("+") { _ = skip("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if whole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite || dialect == .python else {
            throw failure("a number too large for a double", at: start)
        }
        return .number(number)
    }

    private mutating func digits() throws {
        let start = position
        while let byte, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw failure("not JSON", expected: "a digit") }
    }

    /// The string whose opening quote is at the position.
    mutating func string() throws -> String {
        let opening = position
        position += 1
        let start = position
        while let byte, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if byte == UInt8(ascii: "\"") {
            let text = try text(start..<position)
            position += 1
            return text
        }
        position = start
        return try escapedString(opening: opening)
    }

    private mutating func escapedString(opening: Int) throws -> String {
        var result = ""
        while true {
            let start = position
            while let byte, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
            result += try text(start..<position)
            switch byte {
            case nil: throw failure("a string without its closing quote", at: opening)
            case UInt8(ascii: "\""):
                position += 1
                return result
            case UInt8(ascii: "\\"):
                position += 1
                result.unicodeScalars.append(try escape())
            default: throw failure("a control character in a string", expected: "an escape")
            }
        }
    }

    /// The scalar that an escape stands for; the position is behind its backslash.
    private mutating func escape() throws -> Unicode.Scalar {
        let start = position - 1
        let escape = byte
        position += escape == nil ? 0 : 1
        switch escape {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw failure("an escape that JSON does not know", at: start)
        }
        let unit = try hexadecimal()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        let behind = position
        if unit < 0xDC00, skip("\\"), skip("u") {
            let second = try hexadecimal()
            if (0xDC00...0xDFFF).contains(second),
                let scalar = Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00))
            {
                return scalar
            }
        }
        guard dialect == .python else { throw failure("half a surrogate pair", at: start) }
        // What follows is no other half: it is read for itself.
        position = behind
        return "\u{FFFD}"
    }

    private mutating func hexadecimal() throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("not JSON", expected: "four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    /// The bytes of a range as text; a failure at the first byte that is not UTF-8.
    private func text(_ range: Range<Int>) throws -> String {
        let part = UnsafeRawBufferPointer(rebasing: bytes[range])
        if let text = String(validating: part, as: UTF8.self) { return text }
        var decoder = UTF8()
        var iterator = part.makeIterator()
        var offset = range.lowerBound
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { offset += UTF8.width(scalar) }
        throw failure("text that is not UTF-8", at: offset)
    }
}
