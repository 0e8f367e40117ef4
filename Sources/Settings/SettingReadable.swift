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
    public static var expectation: String { "a string" }

    /// Any scalar but null, as it is written.
    public static func read(_ setting: Setting) throws -> String {
        guard let text = setting.text else { throw setting.refusal(expected: expectation) }
        return text
    }
}

extension Bool: SettingReadable {
    public static var expectation: String { "true or false" }

    public static func read(_ setting: Setting) throws -> Bool {
        try setting.scalar(expectation, PlainScalar.bool)
    }
}

extension Int: SettingReadable {
    public static var expectation: String { "a whole number" }

    /// Also a number with point or exponent, such as `1e5`, that is whole.
    public static func read(_ setting: Setting) throws -> Int {
        try setting.scalar(expectation) {
            PlainScalar.integer($0) ?? PlainScalar.number($0).flatMap(Int.init(exactly:))
        }
    }
}

extension Double: SettingReadable {
    public static var expectation: String { "a number" }

    public static func read(_ setting: Setting) throws -> Double {
        try setting.scalar(expectation, PlainScalar.number)
    }
}

extension Setting: SettingReadable {
    public static var expectation: String { "a value" }

    public static func read(_ setting: Setting) -> Setting { setting }
}

extension Array: SettingReadable where Element: SettingReadable {
    public static var expectation: String { "a list (each \(Element.expectation))" }

    public static func read(_ setting: Setting) throws -> [Element] {
        guard let elements = setting.elements else { throw setting.refusal(expected: expectation) }
        return try elements.map(Element.read)
    }
}

/// A list that may be written as its one element alone.
public struct OneOrMore<Element: SettingReadable>: SettingReadable {
    public var elements: [Element]

    public static var expectation: String { "\(Element.expectation) or a list of such" }

    public static func read(_ setting: Setting) throws -> Self {
        if let elements = setting.elements { return Self(elements: try elements.map(Element.read)) }
        guard !setting.isNull else { throw setting.refusal(expected: expectation) }
        return Self(elements: [try Element.read(setting)])
    }
}

extension SettingReadable where Self: RawRepresentable & CaseIterable, RawValue == String {
    public static var expectation: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }

    public static func read(_ setting: Setting) throws -> Self {
        guard let text = setting.text, let value = Self(rawValue: text) else {
            let nearest = setting.text.flatMap { nearestName(to: $0, among: allCases.map(\.rawValue)) }
            throw setting.refusal(expected: expectation, advice: nearest.map { "Did you mean \"\($0)\"?" })
        }
        return value
    }
}
