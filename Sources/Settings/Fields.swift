import Failures
import JSON

/// Reads a mapping key by key and remembers which keys were asked for, so that `finish` can refuse the others.
///
///     var fields = try setting.fields()
///     let rate: Double = try fields.value("lr", default: 1e-4, .above(0))
///     let blocks: [Int] = try fields.required("controlnet_blocks")
///     try fields.finish()
public struct Fields {
    /// The mapping that is read, or null.
    public let setting: Setting
    private let members: [String: Setting]
    /// The keys that were asked for so far.
    public private(set) var known: [String] = []

    /// - Throws: Where the setting is neither a mapping nor null, which is an empty one.
    public init(_ setting: Setting) throws {
        guard setting.members != nil || setting.isNull else { throw setting.refusal(expected: "a mapping") }
        self.setting = setting
        members = Dictionary((setting.members ?? []).map { ($0.key, $0.value) }) { first, _ in first }
    }

    /// Whether the key is written, with whatever value.
    public func contains(_ key: String) -> Bool { members[key] != nil }

    /// The value under a key; nil where it is missing or null.
    public mutating func optional<Value: SettingReadable>(
        _ key: String, as type: Value.Type = Value.self, _ requirement: Requirement<Value>? = nil
    ) throws -> Value? {
        note(key)
        guard let setting = written(key), !setting.isNull else {
            settle(key, .null)
            return nil
        }
        if members[key] == nil { settle(key, setting.json) }
        let value = try Value.read(setting)
        if let requirement, !requirement.holds(value) {
            throw setting.refusal(expected: "\(Value.expectation) \(requirement.phrase)")
        }
        return value
    }

    /// The value under a key, or the default where it is missing or null.
    public mutating func value<Value: SettingReadable>(
        _ key: String, default fallback: Value, _ requirement: Requirement<Value>? = nil
    ) throws -> Value {
        if let value = try optional(key, requirement) { return value }
        settle(key, Self.json(fallback))
        return fallback
    }

    /// The value under a key, or a default that is read from how a configuration would have it.
    public mutating func value<Value: SettingReadable>(
        _ key: String, as type: Value.Type = Value.self, written fallback: JSON
    ) throws -> Value {
        if let value: Value = try optional(key) { return value }
        settle(key, fallback)
        let path = setting.path(of: key)
        return try Value.read(Setting(fallback, file: setting.place.file, path: path).gathered(by: effective))
    }

    /// The value under a key, which null turns off; the default where it is missing.
    public mutating func nullable<Value: SettingReadable>(
        _ key: String, default fallback: Value, _ requirement: Requirement<Value>? = nil
    ) throws -> Value? {
        try written(key) == nil ? value(key, default: fallback, requirement) : optional(key, requirement)
    }

    /// The value under a key that must be there.
    public mutating func required<Value: SettingReadable>(
        _ key: String, as type: Value.Type = Value.self, _ requirement: Requirement<Value>? = nil
    ) throws -> Value {
        if let value: Value = try optional(key, requirement) { return value }
        throw Failure.input(
            "\"\(setting.path(of: key))\" is missing", at: members[key]?.place ?? setting.place,
            expected: Value.expectation + (requirement.map { " " + $0.phrase } ?? ""))
    }

    /// The mapping under a key; an empty one where it is missing or null.
    public mutating func nested(_ key: String) throws -> Fields {
        note(key)
        let missing = Setting(.null, at: setting.place, path: setting.path(of: key)).gathered(by: effective)
        return try Fields(written(key) ?? missing)
    }

    /// Counts a key as known without reading it.
    public mutating func ignore(_ key: String) {
        note(key)
        if members[key] == nil { settle(key, .null) }
    }

    /// Says what stands for a key that is left out, where that shows only later.
    public func settle(_ key: String, _ value: JSON) { effective?.settle(setting.path(of: key), value) }

    /// - Throws: At the first key that nobody asked for, naming the nearest that somebody did.
    public func finish() throws {
        guard let stray = setting.members?.first(where: { !known.contains($0.key) }) else { return }
        let nearest = nearestName(to: stray.key, among: known)
        throw Failure.input(
            "unknown key \"\(setting.path(of: stray.key))\"", at: stray.place,
            advice: nearest.map { "The nearest known key is \"\($0)\"." } ?? "No keys are known here.")
    }

    private var effective: EffectiveValues? { setting.effective }

    /// What is written under a key, or stands in for its default; nil where the default holds.
    private func written(_ key: String) -> Setting? {
        let written = members[key] ?? effective?.standIn(setting.path(of: key), in: setting.place.file)
        return written?.gathered(by: effective)
    }

    private mutating func note(_ key: String) {
        if !known.contains(key) { known.append(key) }
    }

    /// A default as a configuration has it.
    private static func json(_ value: Any) -> JSON {
        switch value {
        case let value as Setting: value.json
        case let value as Bool: .bool(value)
        case let value as Int: .integer(value)
        case let value as Double: value.isFinite ? .number(value) : .string(value > 0 ? ".inf" : "-.inf")
        case let value as String: .string(value)
        case let value as [Any]: .array(value.map(json))
        case let value as any RawRepresentable: json(value.rawValue)
        default: .string("\(value)")
        }
    }
}

extension Setting {
    /// The mapping's keys, to be read one by one.
    public func fields() throws -> Fields { try Fields(self) }
}

/// What a value must hold beyond its type.
public struct Requirement<Value> {
    let phrase: String
    let holds: (Value) -> Bool

    /// - Parameter phrase: Follows the type's expectation: "a whole number" + "of at least 1".
    public init(_ phrase: String, _ holds: @escaping (Value) -> Bool) {
        self.phrase = phrase
        self.holds = holds
    }
}

extension Requirement where Value: Comparable {
    /// For values that may be `least` itself.
    public static func atLeast(_ least: Value) -> Self { Self("of at least \(least)") { $0 >= least } }

    /// For values that may not be `bound` itself; infinity is above every number.
    public static func above(_ bound: Value) -> Self { Self("above \(bound)") { $0 > bound } }

    /// For values that may be either end of the range.
    public static func within(_ range: ClosedRange<Value>) -> Self {
        Self("from \(range.lowerBound) to \(range.upperBound)", range.contains)
    }
}

extension Requirement where Value: BinaryFloatingPoint {
    /// Neither infinite nor a NaN.
    public static var finite: Self { Self("that is finite", \.isFinite) }

    /// Above 0 and finite.
    public static var positive: Self { Self("above 0 and finite") { $0 > 0 && $0.isFinite } }

    /// At least 0 and finite.
    public static var notNegative: Self { Self("of at least 0 and finite") { $0 >= 0 && $0.isFinite } }
}

extension Requirement where Value: Collection {
    /// For lists of a fixed length.
    public static func count(_ count: Int) -> Self { Self("with \(count) in all") { $0.count == count } }

    /// For lists and texts that hold anything at all.
    public static var notEmpty: Self { Self("with something in it") { !$0.isEmpty } }
}
