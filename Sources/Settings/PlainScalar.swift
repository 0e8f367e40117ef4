/// How a scalar without quotes reads where a type is asked for.
///
/// As YAML 1.1 in PyYAML's safe loader, but for two things: a number may leave out the point or the exponent's sign
/// (`1e-4`), and colons do not make numbers to the base of 60.
enum PlainScalar {
    static func isNull(_ text: String) -> Bool { ["", "~", "null", "Null", "NULL"].contains(text) }

    static func bool(_ text: String) -> Bool? {
        switch text {
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": true
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": false
        default: nil
        }
    }

    /// A whole number: decimal, `0x…`, `0b…`, or octal after a leading zero, with `_` anywhere behind the first digit.
    static func integer(_ text: String) -> Int? {
        guard let (sign, digits) = unsigned(text), digits.first != UInt8(ascii: ".") else { return nil }
        var radix = 10
        if digits.first == UInt8(ascii: "0"), digits.count > 1 {
            let prefix = digits[1]
            radix = prefix == UInt8(ascii: "x") ? 16 : prefix == UInt8(ascii: "b") ? 2 : 8
        }
        let bare = digits.dropFirst(radix == 10 ? 0 : radix == 8 ? 1 : 2)
        guard let first = bare.first, first != UInt8(ascii: "-"), first != UInt8(ascii: "+") else { return nil }
        return Int(sign + String(decoding: bare, as: UTF8.self), radix: radix)
    }

    /// A finite number, decimal with or without point and exponent, `.inf`, or what `integer` reads.
    static func number(_ text: String) -> Double? {
        switch text {
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .infinity
        case "-.inf", "-.Inf", "-.INF": return -.infinity
        default: break
        }
        if let integer = integer(text) { return Double(integer) }
        guard let (sign, digits) = unsigned(text), digits.count <= 400,
            digits.allSatisfy({ isDigit($0) || "+-.eE".utf8.contains($0) }),
            digits.first != UInt8(ascii: "0") || !digits.allSatisfy(isDigit),  // 08: neither octal nor decimal
            let number = Double(sign + String(decoding: digits, as: UTF8.self)), number.isFinite
        else { return nil }
        return number
    }

    /// The sign, and what follows it without `_`; nil where that begins with neither a digit nor a point and a digit.
    private static func unsigned(_ text: String) -> (sign: String, digits: [UInt8])? {
        let signed = text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+")
        let rest = text.utf8.dropFirst(signed ? 1 : 0)
        guard let first = (rest.first == UInt8(ascii: ".") ? rest.dropFirst() : rest).first, isDigit(first) else {
            return nil
        }
        return (text.utf8.first == UInt8(ascii: "-") ? "-" : "", rest.filter { $0 != UInt8(ascii: "_") })
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
