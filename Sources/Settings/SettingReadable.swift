/// A type that a setting can be read as.
///
/// An enumeration whose raw values are the names in the file need only say so:
/// `enum Scaler: String, CaseIterable, SettingReadable { case vp, lerp }`.
public protocol SettingReadable {
    /// What should stand there, for messages: "a whole number".
    static var expectation: String { get }

    /// Reads the value, or throws the failure at the setting's place.
    static func read(_ setting: Setting) throws -> Self
}

extension Setting {
    /// The value as a type; a failure at its place where it is none.
    public func read<Value: SettingReadable>(as type: Value.Type = Value.self) throws -> Value {
        try Value.read(self)
    }

    /// The text of a scalar without quotes.
    fileprivate var bareText: String? {
        if case .scalar(let text, quoted: false) = value { text } else { nil }
    }

    fileprivate func scalar<Value>(_ expectation: String, _ convert: (String) -> Value?) throws -> Value {
        guard let value = bareText.flatMap(convert) else { throw refusal(expected: expectation) }
        return value
    }
}

extension String: SettingReadable {
    /// Any scalar but null is one.
    public static var expectation: String { "a string" }

    /// Any scalar but null, as it is written.
    public static func read(_ setting: Setting) throws -> String {
        guard let text = setting.text else { throw setting.refusal(expected: expectation) }
        return text
    }
}

extension Bool: SettingReadable {
    /// As YAML 1.1 has truth values: `yes` and `off` are some.
    public static var expectation: String { "true or false" }

    /// Reads an unquoted truth value.
    public static func read(_ setting: Setting) throws -> Bool {
        try setting.scalar(expectation, PlainScalar.bool)
    }
}

extension Int: SettingReadable {
    /// A number without a fraction.
    public static var expectation: String { "a whole number" }

    /// Also a number with point or exponent, such as `1e5`, that is whole.
    public static func read(_ setting: Setting) throws -> Int {
        try setting.scalar(expectation) {
            PlainScalar.integer($0) ?? PlainScalar.number($0).flatMap(Int.init(exactly:))
        }
    }
}

extension Double: SettingReadable {
    /// Also a whole number, `.inf` or `-.inf`; no NaN is read.
    public static var expectation: String { "a number" }

    /// Reads an unquoted number of YAML 1.1.
    public static func read(_ setting: Setting) throws -> Double {
        try setting.scalar(expectation, PlainScalar.number)
    }
}

extension Setting: SettingReadable {
    /// Everything is one.
    public static var expectation: String { "a value" }

    /// The setting itself, for what is read later or by somebody else.
    public static func read(_ setting: Setting) -> Setting { setting }
}

extension Array: SettingReadable where Element: SettingReadable {
    /// A list, with what each of its elements has to be.
    public static var expectation: String { "a list (each \(Element.expectation))" }

    /// Reads each element; an empty list is one, a scalar or null is not.
    public static func read(_ setting: Setting) throws -> [Element] {
        guard let elements = setting.elements else { throw setting.refusal(expected: expectation) }
        return try elements.map(Element.read)
    }
}

/// A list that may be written as its one element alone.
public struct OneOrMore<Element: SettingReadable>: SettingReadable {
    /// Those of the list, or the one value that was written.
    public var elements: [Element]

    /// Both forms, for messages.
    public static var expectation: String { "\(Element.expectation) or a list of such" }

    /// Reads a list, or a value that is not null as a list of one.
    public static func read(_ setting: Setting) throws -> Self {
        if let elements = setting.elements { return Self(elements: try elements.map(Element.read)) }
        guard !setting.isNull else { throw setting.refusal(expected: expectation) }
        return Self(elements: [try Element.read(setting)])
    }
}

extension SettingReadable where Self: RawRepresentable & CaseIterable, RawValue == String {
    /// The names, in the order of the cases.
    public static var expectation: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }

    /// Reads a raw value as it is written, capital letters and all; a failure names the nearest one.
    public static func read(_ setting: Setting) throws -> Self {
        guard let text = setting.text, let value = Self(rawValue: text) else {
            let nearest = setting.text.flatMap { nearestName(to: $0, among: allCases.map(\.rawValue)) }
            throw setting.refusal(expected: expectation, advice: nearest.map { "Did you mean \"\($0)\"?" })
        }
        return value
    }
}
