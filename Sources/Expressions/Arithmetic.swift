import Glibc

/// An operator between two values, with Python's meaning.
enum Arithmetic: String, Sendable {
    case plus = "+"
    case minus = "-"
    case times = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"

    func result(_ left: Value, _ right: Value, at offset: Int) throws -> Value {
        if let a = left.whole, let b = right.whole { return try whole(a, b, at: offset) }
        if let a = left.number, let b = right.number { return .float(try float(a, b, at: offset)) }
        switch (self, left, right) {
        case (.plus, .string(let a), .string(let b)):
            try checkSize(a.unicodeScalars.count, b.unicodeScalars.count, at: offset)
            return .string(a + b)
        case (.plus, .list(let a), .list(let b)):
            try checkSize(a.count, b.count, at: offset)
            return .list(a + b)
        case (.plus, .tuple(let a), .tuple(let b)):
            try checkSize(a.count, b.count, at: offset)
            return .tuple(a + b)
        case (.times, _, _):
            if let count = right.whole { return try left.repeated(count, at: offset) }
            if let count = left.whole { return try right.repeated(count, at: offset) }
        default: break
        }
        throw Problem(offset, "\(left.kind) \(rawValue) \(right.kind) has no meaning")
    }

    private func checkSize(_ a: Int, _ b: Int, at offset: Int) throws {
        guard a + b <= Value.sizeLimit else {
            throw Problem(offset, "more than \(Value.sizeLimit) characters or elements")
        }
    }

    private func whole(_ a: Int128, _ b: Int128, at offset: Int) throws -> Value {
        func checked(_ result: (partialValue: Int128, overflow: Bool)) throws -> Value {
            guard !result.overflow else { throw Problem(offset, "a number of more than 127 bits") }
            return .integer(result.partialValue)
        }
        switch self {
        case .plus: return try checked(a.addingReportingOverflow(b))
        case .minus: return try checked(a.subtractingReportingOverflow(b))
        case .times: return try checked(a.multipliedReportingOverflow(by: b))
        case .divide: return .float(try float(Double(a), Double(b), at: offset))
        case .floorDivide, .modulo:
            guard b != 0 else { throw Problem(offset, "division by zero") }
            guard b != -1 else {
                return self == .modulo ? .integer(0) : try checked((0 as Int128).subtractingReportingOverflow(a))
            }
            // Python rounds towards minus infinity, and the remainder has the sign of the divisor.
            let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
            let isShort = remainder != 0 && (remainder < 0) != (b < 0)
            return .integer(
                self == .modulo ? (isShort ? remainder + b : remainder) : (isShort ? quotient - 1 : quotient))
        case .power:
            guard b >= 0 else { return .float(try float(Double(a), Double(b), at: offset)) }
            var power: Int128 = 1
            // A base past one overflows long before the exponent is counted down.
            if a == 0 || a == 1 { return .integer(b == 0 ? 1 : a) }
            if a == -1 { return .integer(b % 2 == 0 ? 1 : -1) }
            for _ in 0..<min(b, 128) {
                let (product, overflow) = power.multipliedReportingOverflow(by: a)
                guard !overflow else { throw Problem(offset, "a number of more than 127 bits") }
                power = product
            }
            return .integer(power)
        }
    }

    private func float(_ a: Double, _ b: Double, at offset: Int) throws -> Double {
        switch self {
        case .plus: return a + b
        case .minus: return a - b
        case .times: return a * b
        case .divide:
            guard b != 0 else { throw Problem(offset, "division by zero") }
            return a / b
        case .floorDivide, .modulo:
            guard b != 0 else { throw Problem(offset, "division by zero") }
            var remainder = fmod(a, b)
            var quotient = (a - remainder) / b
            if remainder != 0, (remainder < 0) != (b < 0) {
                remainder += b
                quotient -= 1
            }
            if self == .modulo { return remainder == 0 ? copysign(0, b) : remainder }
            // The quotient is whole but for rounding; CPython rounds it in the same way.
            let floor = quotient.rounded(.down)
            return quotient == 0 ? copysign(0, a / b) : quotient - floor > 0.5 ? floor + 1 : floor
        case .power:
            if a == 0, b < 0 { throw Problem(offset, "zero to a negative power") }
            if a < 0, a.isFinite, b.isFinite, b != b.rounded() { throw Problem(offset, "a complex number") }
            let power = pow(a, b)
            guard power.isFinite || !a.isFinite || !b.isFinite else { throw Problem(offset, "a number too large") }
            return power
        }
    }
}

extension Value {
    /// The number that this is, whole ones rounded to double.
    var number: Double? {
        if case .float(let value) = self { return value }
        return whole.map(Double.init)
    }

    fileprivate func repeated(_ count: Int128, at offset: Int) throws -> Value {
        func times(_ size: Int) throws -> Int {
            let count = max(0, count)
            guard size == 0 || count <= Int128(Value.sizeLimit / size) else {
                throw Problem(offset, "more than \(Value.sizeLimit) characters or elements")
            }
            return size == 0 ? 0 : Int(count)
        }
        switch self {
        case .string(let text): return .string(String(repeating: text, count: try times(text.unicodeScalars.count)))
        case .list(let values):
            return .list(Array(repeatElement(values, count: try times(values.count)).joined()))
        case .tuple(let values):
            return .tuple(Array(repeatElement(values, count: try times(values.count)).joined()))
        default: throw Problem(offset, "\(kind) cannot be repeated")
        }
    }
}
