/// A comparison, with Python's meaning.
enum Relation: String, Sendable {
    case less = "<"
    case greater = ">"
    case equal = "=="
    case notEqual = "!="
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
    /// Between any value and `None`, `True` or `False`.
    case isSame = "is"
    case isNotSame = "is not"

    func holds(_ left: Value, _ right: Value, at offset: Int) throws -> Bool {
        switch self {
        case .equal: Value.areEqual(left, right)
        case .notEqual: !Value.areEqual(left, right)
        case .less: try Value.order(left, right, at: offset) == .less
        case .greater: try Value.order(left, right, at: offset) == .greater
        case .lessOrEqual: try [.less, .equal].contains(Value.order(left, right, at: offset))
        case .greaterOrEqual: try [.greater, .equal].contains(Value.order(left, right, at: offset))
        case .isIn: try right.contains(left, at: offset)
        case .isNotIn: try !right.contains(left, at: offset)
        case .isSame: Value.areSame(left, right)
        case .isNotSame: !Value.areSame(left, right)
        }
    }
}

extension Value {
    /// How two values stand to each other; `unordered` is NaN against anything.
    enum Order { case less, equal, greater, unordered }

    /// Whether both are one of Python's `None`, `True` and `False`, and the same of them.
    static func areSame(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.none, .none): true
        case (.bool(let a), .bool(let b)): a == b
        default: false
        }
    }

    static func areEqual(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.none, .none): true
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): a.elementsEqual(b, by: areEqual)
        case (.dictionary(let a), .dictionary(let b)): a.count == b.count && haveEqualMembers(a, b)
        default: numberOrder(left, right) == .equal
        }
    }

    /// Of dictionaries with as many members each.
    private static func haveEqualMembers(
        _ left: [(key: String, value: Value)], _ right: [(key: String, value: Value)]
    ) -> Bool {
        let members = Dictionary(right.map { (Array($0.key.utf8), $0.value) }) { $1 }
        return left.allSatisfy { key, value in members[Array(key.utf8)].map { areEqual(value, $0) } ?? false }
    }

    static func order(_ left: Value, _ right: Value, at offset: Int) throws -> Order {
        if let order = numberOrder(left, right) { return order }
        switch (left, right) {
        case (.string(let a), .string(let b)):
            // The order of UTF-8 bytes is that of code points, which is Python's.
            if a.utf8.elementsEqual(b.utf8) { return .equal }
            return a.utf8.lexicographicallyPrecedes(b.utf8) ? .less : .greater
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            guard let differing = zip(a, b).first(where: { !areEqual($0, $1) }) else {
                return a.count == b.count ? .equal : a.count < b.count ? .less : .greater
            }
            return try order(differing.0, differing.1, at: offset)
        default: throw Problem(offset, "\(left.kind) and \(right.kind) have no order")
        }
    }

    /// The order of numbers, exact between whole ones and fractions; nil where one is no number.
    private static func numberOrder(_ left: Value, _ right: Value) -> Order? {
        switch (left, right) {
        case (.float(let a), .float(let b)): a < b ? .less : a > b ? .greater : a == b ? .equal : .unordered
        case (.float(let a), _): right.whole.map { reversed(order($0, a)) }
        case (_, .float(let b)): left.whole.map { order($0, b) }
        default:
            left.whole.flatMap { a in right.whole.map { b in a < b ? .less : a > b ? .greater : .equal } }
        }
    }

    private static func order(_ whole: Int128, _ number: Double) -> Order {
        if number.isNaN { return .unordered }
        let floor = number.rounded(.down)
        guard let bound = Int128(exactly: floor) else { return number > 0 ? .less : .greater }
        if whole < bound { return .less }
        if whole > bound { return .greater }
        return floor < number ? .less : .equal
    }

    private static func reversed(_ order: Order) -> Order {
        switch order {
        case .less: .greater
        case .greater: .less
        default: order
        }
    }

    /// `element in self`
    func contains(_ element: Value, at offset: Int) throws -> Bool {
        if case .dictionary = self, !element.isHashable { throw Problem(offset, "\(element.kind) is no key") }
        if let elements { return elements.contains { Value.areEqual($0, element) } }
        guard case .string(let text) = self else { throw Problem(offset, "\(kind) holds nothing") }
        guard case .string(let part) = element else { throw Problem(offset, "\(element.kind) in a string") }
        return Array(text.utf8).firstRange(of: Array(part.utf8)) != nil
    }
}

extension [UInt8] {
    /// Where `part` first stands.
    fileprivate func firstRange(of part: [UInt8]) -> Range<Int>? {
        guard part.count <= count else { return nil }
        for start in 0...(count - part.count) where self[start...].starts(with: part) {
            return start..<(start + part.count)
        }
        return nil
    }
}
