import JSON

/// A value of the expression language; it behaves as Python's of the same kind.
public enum Value: Sendable {
    /// Python's `None`, JSON's null.
    case none
    /// `True` or `False`; counts as 1 or 0 in arithmetic.
    case bool(Bool)
    /// Python's has no bounds; a result outside of 128 bits is a failure here.
    case integer(Int128)
    /// 64 bits, as Python's.
    case float(Double)
    /// At most ``sizeLimit`` characters.
    case string(String)
    /// At most ``sizeLimit`` elements in brackets; JSON's arrays are lists.
    case list([Value])
    /// At most ``sizeLimit`` elements in parentheses.
    case tuple([Value])
    /// Keys are texts and differ by their bytes.
    case dictionary([(key: String, value: Value)])

    /// The most characters or elements that a value may have.
    public static let sizeLimit = 1 << 16

    /// A JSON value as Python's `json` would load it; nil for a value past the limits.
    public init?(_ json: JSON) {
        switch json {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(Int128(value))
        case .number(let value): self = .float(value)
        case .string(let value):
            guard value.utf8.count <= 4 * Self.sizeLimit else { return nil }
            self = .string(value)
        case .array(let elements):
            let values = elements.prefix(Self.sizeLimit + 1).compactMap(Value.init)
            guard values.count == elements.count, values.count <= Self.sizeLimit else { return nil }
            self = .list(values)
        case .object(let members):
            let values = members.prefix(Self.sizeLimit + 1).compactMap { member in
                Value(member.value).map { (key: member.key, value: $0) }
            }
            guard values.count == members.count, values.count <= Self.sizeLimit else { return nil }
            self = .dictionary(values)
        }
    }

    /// Whether Python takes it for true.
    public var isTrue: Bool {
        switch self {
        case .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .string(let value): !value.isEmpty
        case .list(let values), .tuple(let values): !values.isEmpty
        case .dictionary(let members): !members.isEmpty
        }
    }

    /// Python's name of the kind, for messages.
    var kind: String {
        switch self {
        case .none: "None"
        case .bool: "a boolean"
        case .integer: "a whole number"
        case .float: "a number"
        case .string: "a string"
        case .list: "a list"
        case .tuple: "a tuple"
        case .dictionary: "a dictionary"
        }
    }

    /// The whole number that this is; booleans count as 0 and 1.
    var whole: Int128? {
        switch self {
        case .bool(let value): value ? 1 : 0
        case .integer(let value): value
        default: nil
        }
    }

    /// Whether Python takes it for a key of a dictionary.
    var isHashable: Bool {
        switch self {
        case .none, .bool, .integer, .float, .string: true
        case .tuple(let values): values.allSatisfy(\.isHashable)
        case .list, .dictionary: false
        }
    }

    /// What Python's loops see of it; nil for what has no elements.
    var elements: [Value]? {
        switch self {
        case .list(let values), .tuple(let values): values
        case .dictionary(let members): members.map { .string($0.key) }
        default: nil
        }
    }
}
