import JSON

/// Records of a `.wandb` file (`wandb/proto/wandb_internal.proto`), as bytes without their number.
enum WandbRecord {
    /// The fields of `Record` that name its kind.
    static let history = 2
    static let run = 17
    static let exit = 18

    static func header(producer: String) -> ProtobufMessage {
        record(21) {
            $0.add(1) {
                $0.add(1, text: producer)
                // The first version that reads files of this kind.
                $0.add(2, text: "0.40.0")
            }
        }
    }

    /// - Parameter start: seconds since 1970.
    static func run(id: String, _ project: WandbProject, host: String, start: Double) -> ProtobufMessage {
        record(run) { run in
            run.add(1, text: id)
            if let entity = project.entity { run.add(2, text: entity) }
            run.add(3, text: project.name)
            run.add(4) { add(project.configuration, to: &$0) }
            run.add(8, text: project.title)
            run.add(13, text: host)
            run.add(17) {
                let seconds = start.rounded(.down)
                $0.add(1, integer: Int(seconds))
                $0.add(2, integer: Int((start - seconds) * 1e9))
            }
        }
    }

    static func configuration(_ configuration: JSON) -> ProtobufMessage {
        record(5) { add(configuration, to: &$0) }
    }

    static func history(step: Int, _ items: [(key: [String], value: String)]) -> ProtobufMessage {
        record(history) { history in
            add(items, to: &history)
            history.add(2) { $0.add(1, integer: step) }
        }
    }

    static func summary(_ items: [(key: [String], value: String)]) -> ProtobufMessage {
        record(3) { add(items, to: &$0) }
    }

    /// Files to upload, by their paths in the run's folder `files`.
    static func media(_ paths: [String]) -> ProtobufMessage {
        record(6) { files in
            for path in paths {
                files.add(1) {
                    $0.add(1, text: path)
                    $0.add(3, integer: 2)  // MEDIA
                }
            }
        }
    }

    static func exit(status: Int, runtime: Double) -> ProtobufMessage {
        record(exit) {
            $0.add(1, integer: status)
            $0.add(2, integer: Int(runtime))
        }
    }

    /// A number as W&B's JSON writes it, which knows those that are not finite.
    static func number(_ value: Double) -> String {
        if value.isFinite { return JSON.number(value).text() }
        return value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
    }

    private static func record(_ kind: Int, _ build: (inout ProtobufMessage) -> Void) -> ProtobufMessage {
        var record = ProtobufMessage()
        record.add(kind, build)
        return record
    }

    private static func add(_ configuration: JSON, to record: inout ProtobufMessage) {
        for (key, value) in configuration.objectValue ?? .init() {
            record.add(1) {
                $0.add(1, text: key)
                $0.add(16, text: value.text())
            }
        }
    }

    /// Items of a history or a summary, which have the same fields.
    private static func add(_ items: [(key: [String], value: String)], to record: inout ProtobufMessage) {
        for (key, value) in items {
            record.add(1) {
                for part in key { $0.add(2, text: part) }
                $0.add(16, text: value)
            }
        }
    }
}
