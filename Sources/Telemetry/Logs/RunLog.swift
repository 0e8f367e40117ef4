/// Where all that a run measures and shows goes: `metrics.jsonl`, TensorBoard's event files, W&B's offline run where it
/// is asked for, and `report.html`.
///
/// An entry is with the system when ``append(_:)`` returns, so a killed process loses none, and on the disk after
/// ``sync()``, which belongs before a checkpoint: what the checkpoint has done is then in the logs. A log that can't be
/// written, such as on a full disk, is a failure that names the file: a run that went on would have a gap there for
/// good, while one that ends goes on from its checkpoint.
public final class RunLog {
    /// What a log is begun with.
    public struct Setup {
        /// Of the run's output; it is there.
        public var folder: String
        /// What the run is called.
        public var title: String
        /// The last update whose entries stay, those of an earlier start; 0 for a run from the start.
        public var resumeAfter: Int
        /// What was measured before the first update.
        public var measuredBefore: [(name: String, value: Double)] = []
        /// The configuration for a person to read.
        public var configurationText: String
        /// nil for none.
        public var wandb: WandbProject?
        /// Makes the small image that `report.html` shows of a preview's JPEG file.
        public var shrink: (_ jpeg: [UInt8]) throws -> LoggedImage
        /// Seconds since 1970.
        public var now: () -> Double

        /// Logs for `report.html`, metrics and TensorBoard; W&B and the configuration's text are set afterwards.
        /// - Parameters:
        ///   - folder: of the run's output; it is there.
        ///   - title: what the run is called.
        ///   - resumeAfter: the last update whose entries stay; 0 for a run from the start.
        ///   - now: seconds since 1970.
        ///   - shrink: makes the small image of a preview's JPEG file.
        public init(
            folder: String, title: String, resumeAfter: Int, now: @escaping () -> Double,
            shrink: @escaping (_ jpeg: [UInt8]) throws -> LoggedImage
        ) {
            self.folder = folder
            self.title = title
            self.resumeAfter = resumeAfter
            self.now = now
            self.shrink = shrink
            configurationText = ""
        }
    }

    private let metrics: MetricsLog
    private let events: EventLog
    private let wandb: WandbLog?
    private let report: Report

    /// Opens the logs and cuts off what a run that goes on will write again.
    public init(_ setup: Setup) throws {
        let step = setup.resumeAfter
        let report = try Report(setup)
        for (name, value) in setup.measuredBefore { report.add(name, value, at: 0) }
        metrics = try MetricsLog(path: "\(setup.folder)/metrics.jsonl", resumeAfter: step, visit: report.add(line:))
        events = try EventLog(folder: "\(setup.folder)/tensorboard", resumeAfter: step, now: setup.now)
        wandb = try setup.wandb.map {
            try WandbLog($0, folder: "\(setup.folder)/wandb", resumeAfter: step, now: setup.now)
        }
        self.report = report
        if step == 0, !setup.measuredBefore.isEmpty {
            try events.append(LogEntry(before: setup.measuredBefore))
            try wandb?.append(LogEntry(before: setup.measuredBefore))
        }
    }

    /// Logs an update. Updates come in their order.
    public func append(_ entry: LogEntry) throws {
        if let update = entry.metrics { try metrics.append(update, measured: entry.measured, samples: entry.samples) }
        try events.append(entry)
        try wandb?.append(entry)
        report.add(entry)
    }

    /// Brings all entries to the disk.
    public func sync() throws {
        try metrics.sync()
        try events.sync()
        try wandb?.sync()
    }

    /// Writes `report.html` anew.
    /// - Parameter state: One sentence on how far the run is.
    public func writeReport(state: String, _ sections: [ReportSection]) throws {
        try report.write(state: state, sections: sections)
    }

    /// Ends the logs of a run that ended as it should.
    /// - Parameter status: The process's exit status: 0, or 130 after a signal.
    public func finish(status: Int) throws {
        try wandb?.finish(status: status)
    }

    /// What uploads the run to W&B; nil where it is not logged for it.
    public var uploadCommand: String? {
        wandb.map { "wandb sync \(Self.quoted($0.path))" }
    }
    /// A path as a shell takes it for one word.
    private static func quoted(_ path: String) -> String {
        let plain = "/._-+=:,@%"
        guard !path.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || plain.contains($0)) }) else {
            return path
        }
        return "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
