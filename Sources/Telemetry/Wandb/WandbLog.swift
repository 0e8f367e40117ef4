import Files
import Glibc
import JSON

/// Where W&B is to show a run.
public struct WandbProject: Sendable {
    /// The project's name, which ``takes(_:)`` has to allow.
    public var name: String
    /// The user or team; nil leaves it to the one who uploads.
    public var entity: String?
    /// What the run is called.
    public var title: String
    /// An object: the configuration.
    public var configuration: JSON
    /// The program and its version.
    public var producer: String

    /// - Parameters:
    ///   - name: of the project.
    ///   - entity: the user or team; nil leaves it to the one who uploads.
    ///   - title: what the run is called.
    ///   - configuration: an object.
    ///   - producer: the program and its version.
    public init(name: String, entity: String?, title: String, configuration: JSON, producer: String) {
        self.name = name
        self.entity = entity
        self.title = title
        self.configuration = configuration
        self.producer = producer
    }

    /// Whether W&B takes a name for a project or a team. Source: wandb's `validate_project`.
    public static func takes(_ name: String) -> Bool {
        !name.isEmpty && name.unicodeScalars.count <= 128
            && !name.unicodeScalars.contains { "/\\#?%:".unicodeScalars.contains($0) }
    }
}

/// A run as W&B keeps it offline, for `wandb sync`.
///
/// A folder of a training run holds one run of W&B's, however often it is started again: a run that goes on takes up
/// the file with its name, cut behind the last update that stays. It then holds the whole history, each step once, and
/// uploading it again, which W&B's note of an earlier upload would forbid and which is therefore taken away, replaces
/// what was uploaded under that name line by line.
final class WandbLog {
    /// The folder that `wandb sync` takes.
    let path: String

    private let log: BlockLog
    private let now: () -> Double
    private var records: Int
    /// When the run began, later by all the time in which it did not run.
    private let began: Double
    private var summary: [(key: [String], value: String)] = []
    private var places: [String: Int] = [:]

    /// - Parameters:
    ///   - folder: `wandb` in the run's folder.
    ///   - step: The last update whose history stays; 0 for a run from the start.
    ///   - now: Seconds since 1970.
    init(_ project: WandbProject, folder: String, resumeAfter step: Int, now: @escaping () -> Double) throws {
        self.now = now
        let start = now()
        let name = try Self.last(in: folder) ?? Self.newName(start)
        let id = name.split(separator: "-").last.map(String.init) ?? name
        path = "\(folder)/\(name)"
        try Folder.make("\(path)/files/\(Self.media)")
        let file = "\(path)/run-\(id).wandb"
        for note in [".synced", ".syncstate"] where fileExists(file + note) { unlink(file + note) }

        var kept = Kept(step: step)
        log = try BlockLog(file) { kept.keep($0) }
        records = kept.records
        began = start - kept.runtime
        if kept.hasRun {
            try append(WandbRecord.configuration(project.configuration))
        } else {
            try append(WandbRecord.header(producer: project.producer))
            try append(WandbRecord.run(id: id, project, host: hostName(), start: start))
        }
        try removeMedia(after: step)
    }

    func append(_ entry: LogEntry) throws {
        var items = entry.scalars.map { (key: [$0.name], value: WandbRecord.number($0.value)) }
        var files: [String] = []
        for image in entry.images {
            let digest = SHA256.hex(of: image.jpeg)
            let path = "\(Self.media)/\(image.name)_\(entry.step)_\(digest.prefix(20)).jpg"
            try writeAtomically(image.jpeg, to: "\(self.path)/files/\(path)")
            let value: JSON = [
                "_type": "image-file", "format": "jpg", "path": .string(path), "sha256": .string(digest),
                "size": .integer(image.jpeg.count), "width": .integer(image.width),
                "height": .integer(image.height),
            ]
            items.append(([image.name], value.text()))
            files.append(path)
        }
        let time = now()
        items += [
            (["_step"], String(entry.step)), (["_runtime"], WandbRecord.number(time - began)),
            (["_timestamp"], WandbRecord.number(time)),
        ]
        try append(WandbRecord.history(step: entry.step, items))
        // Behind the history they belong to, so that both are cut together.
        if !files.isEmpty { try append(WandbRecord.media(files)) }
        for item in items { note(item) }
    }

    /// Brings all to the disk, with the last value of each name.
    func sync() throws {
        let runtime = String(Int(now() - began))
        if !summary.isEmpty { try append(WandbRecord.summary(summary + [(["_wandb", "runtime"], runtime)])) }
        try log.sync()
    }

    /// - Parameter status: The process's exit status.
    func finish(status: Int) throws {
        try sync()
        try append(WandbRecord.exit(status: status, runtime: now() - began))
        try log.sync()
    }

    private func append(_ record: ProtobufMessage) throws {
        var record = record
        records += 1
        record.add(1, integer: records)
        try log.append(record.bytes)
    }

    private func note(_ item: (key: [String], value: String)) {
        let name = item.key[0]
        if let place = places[name] {
            summary[place] = item
        } else {
            places[name] = summary.count
            summary.append(item)
        }
    }

    // MARK: What is there already

    private static let prefix = "offline-run-"
    private static let media = "media/images"

    /// The folder of the run that was begun last.
    private static func last(in folder: String) throws -> String? {
        guard Folder.isFolder(folder) else { return nil }
        return try Folder.names(folder).last { $0.hasPrefix(prefix) && Folder.isFolder("\(folder)/\($0)") }
    }

    /// As the package names folders: local time and eight letters or digits.
    private static func newName(_ start: Double) -> String {
        var (seconds, parts) = (time_t(start), tm())
        localtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y%m%d_%H%M%S", &parts)
        let date = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        let id = String((0..<8).map { _ in letters[Int.random(in: 0..<letters.count)] })
        return "\(prefix)\(date)-\(id)"
    }

    private func removeMedia(after step: Int) throws {
        let folder = "\(path)/files/\(Self.media)"
        for name in try Folder.names(folder) {
            let parts = name.split(separator: "_")
            if parts.count > 2, let at = Int(parts[parts.count - 2]), at > step || step == 0 {
                unlink("\(folder)/\(name)")
            }
        }
    }

    /// Which records of an earlier start stay, and what they tell.
    private struct Kept {
        let step: Int
        var records = 0
        var hasRun = false
        var runtime = 0.0

        init(step: Int) { self.step = step }

        mutating func keep(_ record: [UInt8]) -> Bool {
            for (field, value) in ProtobufFields(record[...]) {
                switch (field, value) {
                case (WandbRecord.run, _): hasRun = true
                case (WandbRecord.exit, _): return false
                case (WandbRecord.history, .bytes(let history)):
                    guard step > 0, isKept(history) else { return false }
                default: break
                }
            }
            records += 1
            return true
        }

        private mutating func isKept(_ history: ArraySlice<UInt8>) -> Bool {
            guard case .bytes(let at)? = ProtobufFields.first(2, of: history),
                case .number(let number)? = ProtobufFields.first(1, of: at), number <= step
            else { return false }
            for case (1, .bytes(let item)) in ProtobufFields(history) {
                guard case .bytes(let key)? = ProtobufFields.first(2, of: item), key.elementsEqual("_runtime".utf8),
                    case .bytes(let value)? = ProtobufFields.first(16, of: item)
                else { continue }
                runtime = Double(String(decoding: value, as: UTF8.self)) ?? runtime
            }
            return true
        }
    }
}
