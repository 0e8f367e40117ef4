import Expressions
import Failures

/// A condition that a sample must meet, over fields of its JSON.
public struct SampleFilter: Sendable {
    /// The JSON's fields whose values the condition takes, in its order.
    public let fields: [String]
    /// Keeps a sample where its value is true, as Python counts truth.
    public let condition: Lambda

    /// - Throws: a failure of the input at `place` where the condition takes another number of values.
    public init(fields: [String], condition: Lambda, at place: Failure.Place? = nil) throws {
        guard condition.parameters.count == fields.count else {
            throw Failure.input(
                "a filter's condition takes one value for each field", at: place,
                expected: "\(fields.count) parameter\(fields.count == 1 ? "" : "s")",
                got: "\(condition.parameters.count)")
        }
        self.fields = fields
        self.condition = condition
    }

    /// Why a sample is left out, as it is counted; nil where it meets the condition.
    func reasonToDrop(_ facts: SampleFacts) -> String? {
        guard facts.fields != nil else { return facts.isUnreadable ? Captions.Absence.fields.rawValue : "no json" }
        var values: [Value] = []
        for field in fields {
            guard let json = facts[field] else { return "no field `\(field)`" }
            guard let value = Value(json) else { return "field `\(field)` is not for conditions" }
            values.append(value)
        }
        do {
            return try condition(values).isTrue ? nil : "filtered by `\(fields.joined(separator: ", "))`"
        } catch {
            return "filter on `\(fields.joined(separator: ", "))` fails"
        }
    }
}
