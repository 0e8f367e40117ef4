import Failures
import Files
import JSON
import Loading
import Shards
import Telemetry

/// How a run ended.
public struct RunOutcome {
    public var updates: Int
    /// The file of what was trained.
    public var checkpoint: String
    /// The folder of previews and metrics.
    public var output: String
    /// False where a signal ended the run early.
    public var isComplete: Bool
    public var heldOut: HeldOutReport?
    /// What it was trained on since it was last started.
    public var loaded = LoadedData()
    /// What was left out of the data since the run was last started, by reason.
    public var drops = Drops()
    /// How many pictures and captions were encoded and not found in `cache_dir`; nil without one.
    public var encoded: (pictures: Int, captions: Int)?
    /// How many conditions were put into `cache_dir`, which does not take what chance has a part in; nil without one, or
    /// without a filter.
    public var conditions: Int?

    init(updates: Int, checkpoint: String, output: String, isComplete: Bool) {
        self.updates = updates
        self.checkpoint = checkpoint
        self.output = output
        self.isComplete = isComplete
    }
}

/// What training did to the loss over the held-out triples.
public struct HeldOutReport {
    public let triples: Int
    public let before: Double
    public let after: Double
    /// Mean change of a triple and its standard error; negative is better.
    public let change: Double
    public let standardError: Double
    /// Mean with conditions swapped between pictures, with the change to it from `after` and its standard error.
    public let swapped: (mean: Double, change: Double, standardError: Double)?

    init(before: HeldOut.Measurement, after: HeldOut.Measurement, swapped: HeldOut.Measurement?) {
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

/// Where a run's previews, metrics and held-out losses go.
struct OutputFolder {
    let path: String

    init(outputPath: String, experimentID: String) throws {
        path = "\(outputPath)/\(experimentID)"
        try Folder.make(path)
    }

    /// Writes a preview: `000001.jpg` for update 1.
    func write(preview: LoggedPicture, update: Int) throws {
        try writeAtomically(preview.jpeg, to: "\(path)/\(zeroPadded(update, digits: 6)).jpg")
    }

    func write(_ report: HeldOutReport) throws {
        try writeAtomically(report.json.text() + "\n", to: "\(path)/held_out.json")
    }
}
