import Foundation
import JSON

/// What training did to the loss over the validation triples.
public struct ValidationReport {
    /// Fixed combinations of image, noise and time that were measured.
    public let triples: Int
    /// Mean loss over them before the first update.
    public let before: Double
    /// Mean loss over them after the last update.
    public let after: Double
    /// Mean change of a triple and its standard error; negative is better.
    public let change: Double
    /// Of `change`, over the triples.
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

    /// The content of `held_out.json` in the run's output folder.
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
