import Foundation
import JSON

/// What training did to the loss over the validation triples.
public struct ValidationReport {
    public let triples: Int
    public let before: Double
    public let after: Double
    /// Mean change of a triple and its standard error; negative is better.
    public let change: Double
    public let standardError: Double
    /// Mean with conditions swapped between images, with the change to it from `after` and its standard error.
    public let swapped: (mean: Double, change: Double, standardError: Double)?

    init(before: ValidationSet.Measurement, after: ValidationSet.Measurement, swapped: ValidationSet.Measurement?) {
        triples = after.losses.count
        self.before = before.mean
        self.after = after.mean
        (change, standardError) = after.change(since: before)
        self.swapped = swapped.map { swapped in
            let change = swapped.change(since: after)
            return (swapped.mean, change.mean, change.standardError)
        }
    }

    public var json: JSON {
        var object: JSON.Object = JSON.Object()
        object["triples"] = .integer(triples)
        object["before"] = .number(before)
        object["after"] = .number(after)
        object["change"] = .number(change)
        object["standard_error"] = .number(standardError)
        if let swapped {
            object["swapped"] = .number(swapped.mean)
            object["swapped_change"] = .number(swapped.change)
            object["swapped_standard_error"] = .number(swapped.standardError)
        }
        return .object(object)
    }
}

extension ValidationReport {
    /// The numbers for a person.
    var rows: [(name: String, value: String)] {
        func short(_ value: Double) -> String { String(format: "%.5g", value) }
        var rows = [
            ("triples", "\(triples)"), ("before", short(before)), ("after", short(after)),
            ("change", "\(short(change)) (standard error \(short(standardError)))"),
        ]
        if let swapped {
            rows.append(("with conditions of other images", short(swapped.mean)))
        }
        return rows
    }
}
