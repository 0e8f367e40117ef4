import Failures

/// Reads a mapping key by key and remembers which keys were asked for, so that `finish` can refuse the others.
///
///     var fields = try setting.fields()
///     let rate: Double = try fields.value("lr", default: 1e-4, .above(0))
///     let blocks: [Int] = try fields.required("controlnet_blocks")
///     try fields.finish()
public struct Fields {
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
        guard let setting = members[key], !setting.isNull else { return nil }
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
        try optional(key, requirement) ?? fallback
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
        return try Fields(members[key] ?? Setting(.null, at: setting.place, path: setting.path(of: key)))
    }

    /// Counts a key as known without reading it.
    public mutating func ignore(_ key: String) { note(key) }

    /// - Throws: At the first key that nobody asked for, naming the nearest that somebody did.
    public func finish() throws {
        guard let stray = setting.members?.first(where: { !known.contains($0.key) }) else { return }
        let nearest = nearestName(to: stray.key, among: known)
        throw Failure.input(
            "unknown key \"\(setting.path(of: stray.key))\"", at: stray.place,
            advice: nearest.map { "The nearest known key is \"\($0)\"." } ?? "No keys are known here.")
    }

    private mutating func note(_ key: String) {
        if !known.contains(key) { known.append(key) }
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
    public static func atLeast(_ least: Value) -> Self { Self("of at least \(least)") { $0 >= least } }

    public static func above(_ bound: Value) -> Self { Self("above \(bound)") { $0 > bound } }

    public static func within(_ range: ClosedRange<Value>) -> Self {
        Self("from \(range.lowerBound) to \(range.upperBound)", range.contains)
    }
}

extension Requirement where Value: BinaryFloatingPoint {
    public static var finite: Self { Self("that is finite", \.isFinite) }

    /// Above 0 and finite.
    public static var positive: Self { Self("above 0 and finite") { $0 > 0 && $0.isFinite } }

    /// At least 0 and finite.
    public static var notNegative: Self { Self("of at least 0 and finite") { $0 >= 0 && $0.isFinite } }
}

extension Requirement where Value: Collection {
    public static func count(_ count: Int) -> Self { Self("with \(count) in all") { $0.count == count } }

    public static var notEmpty: Self { Self("with something in it") { !$0.isEmpty } }
}
