/// A JSON value (RFC 8259). Whole numbers that fit 64 bits stay whole; objects keep their order.
public enum JSON: Equatable, Sendable {
    /// The word `null`.
    case null
    /// The word `true` or `false`.
    case bool(Bool)
    /// A number without fraction and exponent that fits 64 bits.
    case integer(Int)
    /// Any other number, as the nearest double.
    case number(Double)
    /// A text, its escapes resolved.
    case string(String)
    /// Values in their order.
    case array([JSON])
    /// Members in the order in which they were written.
    case object(Object)
}

extension JSON {
    /// Whether this is the word `null`; a value that is missing is not.
    public var isNull: Bool { self == .null }

    /// True or false; nil of any other value, numbers too.
    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The whole number, also where it is written as `3.0` or `3e2`; nil where it is none or does not fit.
    public var intValue: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    /// Any number; a whole number of more than 53 bits is rounded.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The text of a string; nil of any other value.
    public var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The elements of an array; nil of any other value.
    public var arrayValue: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members of an object; nil of any other value.
    public var objectValue: Object? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The member of an object; nil where this is no object or has no such member.
    public subscript(key: String) -> JSON? { objectValue?[key] }

    /// The element of an array; nil where this is no array or the index is outside of it.
    public subscript(index: Int) -> JSON? {
        guard let array = arrayValue, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// What kind of value this is, for messages: "a string", "an object".
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer: "a whole number"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// `nil` stands for null.
    public init(nilLiteral: ()) { self = .null }
    /// `true` and `false` stand for themselves.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number stays whole.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// A number with a point is no whole number, even where its value is.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// A text stands for a string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// Values in brackets stand for an array.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }

    /// A key given twice keeps its first place and its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        var object = Object()
        for (key, value) in elements { object[key] = value }
        self = .object(object)
    }
}
