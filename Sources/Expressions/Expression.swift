/// An expression that was read; `offset` is where its operator stands.
indirect enum Expression: Sendable {
    case constant(Value)
    case parameter(Int)
    case sequence([Expression], isTuple: Bool)
    case conditional(test: Expression, yes: Expression, no: Expression)
    case or(Expression, Expression)
    case and(Expression, Expression)
    case not(Expression)
    case comparison(Expression, [Comparison])
    case arithmetic(Arithmetic, Expression, Expression, offset: Int)
    case sign(Expression, isMinus: Bool, offset: Int)
    case function(Function, [Expression], offset: Int)
    case method(Method, Expression, [Expression], offset: Int)

    /// One link of a chain such as `0 < x <= 1`.
    struct Comparison: Sendable {
        let relation: Relation
        let operand: Expression
        let offset: Int
    }

    /// The value for arguments.
    /// - Throws: a problem where Python would raise an exception, or a value outgrows its limit.
    func value(_ arguments: [Value]) throws -> Value {
        switch self {
        case .constant(let value): return value
        case .parameter(let index): return arguments[index]
        case .sequence(let elements, let isTuple):
            let values = try elements.map { try $0.value(arguments) }
            return isTuple ? .tuple(values) : .list(values)
        case .conditional(let test, let yes, let no):
            return try (test.value(arguments).isTrue ? yes : no).value(arguments)
        case .or(let left, let right):
            let value = try left.value(arguments)
            return value.isTrue ? value : try right.value(arguments)
        case .and(let left, let right):
            let value = try left.value(arguments)
            return value.isTrue ? try right.value(arguments) : value
        case .not(let operand): return .bool(try !operand.value(arguments).isTrue)
        case .comparison(let first, let links): return try Self.chain(first, links, arguments)
        case .arithmetic(let operation, let left, let right, let offset):
            return try operation.result(left.value(arguments), right.value(arguments), at: offset)
        case .sign(let operand, let isMinus, let offset):
            let value = try operand.value(arguments)
            if case .float(let number) = value { return .float(isMinus ? -number : number) }
            guard let whole = value.whole else { throw Problem(offset, "\(value.kind) has no sign") }
            return try isMinus ? Arithmetic.minus.result(.integer(0), .integer(whole), at: offset) : .integer(whole)
        case .function(let function, let operands, let offset):
            return try function.result(operands.map { try $0.value(arguments) }, at: offset)
        case .method(let method, let receiver, let operands, let offset):
            return try method.result(
                of: receiver.value(arguments), operands.map { try $0.value(arguments) }, at: offset)
        }
    }

    /// Each operand is evaluated once, and none past the first link that does not hold.
    private static func chain(_ first: Expression, _ links: [Comparison], _ arguments: [Value]) throws -> Value {
        var left = try first.value(arguments)
        for link in links {
            let right = try link.operand.value(arguments)
            guard try link.relation.holds(left, right, at: link.offset) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }
}
