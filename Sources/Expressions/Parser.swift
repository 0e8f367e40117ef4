/// Reads tokens into an expression, by Python's grammar and precedence.
struct Parser {
    private let tokens: [Token]
    private var position = 0
    private var depth = 0
    private var parameters: [String] = []

    /// How deep brackets, signs and conditions may nest.
    private static let depthLimit = 60

    /// Words that Python keeps for itself; none of them can name a parameter.
    private static let keywords: Set<String> = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
        "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
        "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ]

    init(_ text: String) throws { tokens = try Lexer.tokens(text) }

    /// lambda: 'lambda' name (',' name)* ':' condition
    mutating func lambda() throws -> (parameters: [String], body: Expression) {
        guard take(name: "lambda") else { throw Problem(offset, "lambda NAME: CONDITION") }
        repeat {
            guard case .name(let name) = kind, !Self.keywords.contains(name) else {
                throw Problem(offset, "the name of a parameter")
            }
            guard !parameters.contains(name) else { throw Problem(offset, "a name that is not a parameter already") }
            parameters.append(name)
            position += 1
        } while take(",")
        try expect(":", "`:` or `,` after the parameter")
        let body = try condition()
        guard kind == .end else { throw Problem(offset, "an operator or the end") }
        return (parameters, body)
    }

    // MARK: Tokens

    private var kind: Token.Kind { tokens[position].kind }
    private var offset: Int { tokens[position].offset }

    private mutating func take(_ symbol: String) -> Bool {
        guard kind == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    private mutating func take(name: String) -> Bool {
        guard kind == .name(name) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ symbol: String, _ what: String) throws {
        guard take(symbol) else { throw Problem(offset, what) }
    }

    private mutating func nested(_ read: (inout Parser) throws -> Expression) throws -> Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw Problem(offset, "at most \(Self.depthLimit) levels of nesting") }
        return try read(&self)
    }

    // MARK: Grammar, loosest first

    /// condition: or ['if' or 'else' condition]
    private mutating func condition() throws -> Expression {
        try nested { parser in
            let value = try parser.or()
            guard parser.take(name: "if") else { return value }
            let test = try parser.or()
            guard parser.take(name: "else") else { throw Problem(parser.offset, "`else`") }
            return .conditional(test: test, yes: value, no: try parser.condition())
        }
    }

    private mutating func or() throws -> Expression {
        var value = try and()
        while take(name: "or") { value = .or(value, try and()) }
        return value
    }

    private mutating func and() throws -> Expression {
        var value = try not()
        while take(name: "and") { value = .and(value, try not()) }
        return value
    }

    private mutating func not() throws -> Expression {
        guard take(name: "not") else { return try comparison() }
        return try nested { .not(try $0.not()) }
    }

    /// comparison: sum (('<' | '>' | '==' | '>=' | '<=' | '!=' | 'in' | 'not' 'in' | 'is' ['not']) sum)*
    private mutating func comparison() throws -> Expression {
        let first = try sum()
        var rest: [Expression.Comparison] = []
        while true {
            let at = offset
            guard let relation = try relation() else { break }
            if [.isSame, .isNotSame].contains(relation), !isSingleton {
                throw Problem(offset, "`None`, `True` or `False` after `is`")
            }
            rest.append(.init(relation: relation, operand: try sum(), offset: at))
        }
        return rest.isEmpty ? first : .comparison(first, rest)
    }

    /// Whether a value follows of which Python has one alone. Other values have no identity here.
    private var isSingleton: Bool { [.name("None"), .name("True"), .name("False")].contains(kind) }

    private mutating func relation() throws -> Relation? {
        if take(name: "in") { return .isIn }
        if take(name: "is") { return take(name: "not") ? .isNotSame : .isSame }
        if kind == .name("not") {
            position += 1
            guard take(name: "in") else { throw Problem(offset, "`in` after `not`") }
            return .isNotIn
        }
        guard case .symbol(let symbol) = kind, let relation = Relation(rawValue: symbol) else { return nil }
        position += 1
        return relation
    }

    private mutating func sum() throws -> Expression {
        try leftToRight(["+", "-"]) { try $0.product() }
    }

    private mutating func product() throws -> Expression {
        try leftToRight(["*", "/", "//", "%"]) { try $0.signed() }
    }

    private mutating func leftToRight(
        _ symbols: Set<String>, _ operand: (inout Parser) throws -> Expression
    ) throws -> Expression {
        var value = try operand(&self)
        while case .symbol(let symbol) = kind, symbols.contains(symbol), let operation = Arithmetic(rawValue: symbol) {
            let at = offset
            position += 1
            value = .arithmetic(operation, value, try operand(&self), offset: at)
        }
        return value
    }

    /// signed: ('+' | '-') signed | power
    private mutating func signed() throws -> Expression {
        let at = offset
        if take("-") { return try nested { .sign(try $0.signed(), isMinus: true, offset: at) } }
        if take("+") { return try nested { .sign(try $0.signed(), isMinus: false, offset: at) } }
        return try power()
    }

    /// power: primary ['**' signed]
    private mutating func power() throws -> Expression {
        let base = try primary()
        let at = offset
        guard take("**") else { return base }
        return .arithmetic(.power, base, try nested { try $0.signed() }, offset: at)
    }

    /// primary: atom ('.' method '(' arguments ')')*
    private mutating func primary() throws -> Expression {
        var value = try atom()
        var links = 0
        while take(".") {
            let at = offset
            links += 1
            guard case .name(let name) = kind, let method = Method(rawValue: name) else {
                throw Problem(at, "one of \(Method.names)")
            }
            guard links <= Self.depthLimit else { throw Problem(at, "at most \(Self.depthLimit) methods in a row") }
            position += 1
            try expect("(", "`(` after \(name)")
            let given = try list(until: ")").elements
            guard method.takes.contains(given.count) else { throw Problem(at, "\(name) with \(method.argumentsText)") }
            value = .method(method, value, given, offset: at)
        }
        return value
    }

    private mutating func atom() throws -> Expression {
        let at = offset
        let token = kind
        position += token == .end ? 0 : 1
        switch token {
        case .integer(let value): return .constant(.integer(value))
        case .float(let value): return .constant(.float(value))
        case .string(var value):
            while case .string(let more) = kind {
                value += more
                position += 1
            }
            return .constant(.string(value))
        case .symbol("("):
            let (elements, isList) = try list(until: ")")
            return elements.count == 1 && !isList ? elements[0] : .sequence(elements, isTuple: true)
        case .symbol("["): return .sequence(try list(until: "]").elements, isTuple: false)
        case .name("True"): return .constant(.bool(true))
        case .name("False"): return .constant(.bool(false))
        case .name("None"): return .constant(.none)
        case .name(let name):
            if let index = parameters.firstIndex(of: name) { return .parameter(index) }
            guard let function = Function(rawValue: name) else {
                throw Problem(
                    at,
                    Self.keywords.contains(name)
                        ? "a value" : "a parameter (\(parameters.joined(separator: ", "))) or one of \(Function.names)")
            }
            try expect("(", "`(` after \(name)")
            let given = try list(until: ")").elements
            guard function.takes(given.count) else { throw Problem(at, "\(name) with \(function.argumentsText)") }
            return .function(function, given, offset: at)
        default: throw Problem(at, "a value")
        }
    }

    /// Conditions between commas, up to a closing bracket; `isList` tells `(a,)` and `()` from `(a)`.
    private mutating func list(until bracket: String) throws -> (elements: [Expression], isList: Bool) {
        var elements: [Expression] = []
        var isList = true
        while !take(bracket) {
            if !elements.isEmpty, !isList { throw Problem(offset, "`,` or `\(bracket)`") }
            elements.append(try condition())
            isList = take(",")
        }
        return (elements, isList || elements.count > 1)
    }
}
