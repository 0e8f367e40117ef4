import Failures
import JSON
import Settings

/// A default that some runs began with and that is another now.
///
/// A run that goes on keeps it where its configuration does not name the key. What a run came to stands in its
/// checkpoints; where that is not there, or lacks the key, the run began before the default changed.
struct ChangedDefault {
    let key: String
    /// As a configuration would name it.
    let before: JSON
    /// What to do where this version can no longer do what the default of before asks for; nil where it can.
    let obstacle: String?

    init(_ key: String, before: JSON, obstacle: String? = nil) {
        self.key = key
        self.before = before
        self.obstacle = obstacle
    }

    /// All of them; of a key whose default changed twice, the later change first.
    static let all: [ChangedDefault] = [
        .init("clip_image_model_name", before: nil), .init("clip_antialias", before: true),
        .init("crop", before: "centre"), .init("crop_randomize_p", before: 0),
        .init(
            "draws", before: "sequence",
            obstacle:
                "name `draws: keyed` to go on with other random numbers, or end the run with the version it began with"),
    ]
}

extension EffectiveValues {
    /// The values of a configuration whose run may have begun earlier, with other defaults.
    /// - Throws: a failure of the input where it began with one that this version cannot do.
    convenience init(
        of configuration: Setting, changed: [ChangedDefault] = ChangedDefault.all
    ) throws {
        guard let checkpoints = configuration["checkpoint_path"]?.text, let id = configuration["experiment_id"]?.text,
            let info = RunFolder.info(in: "\(checkpoints)/\(id)")
        else {
            self.init()
            return
        }
        let (written, effective) = (info[RunFolder.writtenKey], info[RunFolder.effectiveKey])
        var standIns: [String: JSON] = [:]
        for change in changed where configuration[change.key] == nil && written?[change.key] == nil {
            if standIns[change.key] != nil { continue }
            if let then = effective?[change.key], then != change.before { continue }
            if let obstacle = change.obstacle {
                throw Failure.input(
                    "the run began with `\(change.key): \(change.before.yaml)`, which this version cannot do",
                    at: .init("\(checkpoints)/\(id)"), advice: obstacle)
            }
            standIns[change.key] = change.before
        }
        self.init(standIns: standIns)
    }

    /// What is said of the defaults of its time that a run goes on with; nil where it has none.
    var remark: String? {
        let kept = standInsInUse.map { "\($0.path): \($0.value.yaml)" }
        guard !kept.isEmpty else { return nil }
        return "the configuration leaves out what had another default when the run began, which it keeps: "
            + kept.joined(separator: ", ")
    }
}

extension JSON {
    /// A scalar as a configuration would have it.
    fileprivate var yaml: String { stringValue ?? text() }
}
