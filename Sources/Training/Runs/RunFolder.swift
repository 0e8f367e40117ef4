import Failures
import Files
import Glibc
import JSON
import Weights

/// The checkpoints of a run on disk: files of what is trained, of its running mean where there is one and of the
/// optimizer's state, and `info.json`, which names the others with their SHA-256 and so says which files belong together and whether they are whole.
///
/// The newest stand under their own names; `.bak`, `.bak2` and so on are the ones before. Each file is written beside its
/// place as `.new`; once all are there the present ones step back and the new ones forward. A run killed at any moment
/// leaves one whole set, wherever its files stand, and the next start puts them in order.
final class RunFolder {
    let path: String
    /// `controlnet`, `lora` or `generator`.
    let name: String
    /// How many checkpoints before the newest are kept.
    private let kept: Int
    private let lock: FolderLock?

    /// A file of a checkpoint, and what writes it to a path and gives its SHA-256.
    struct Part {
        var kind: Kind
        var write: (_ path: String) throws -> String
    }

    /// What a file of a checkpoint holds, as its name ends.
    enum Kind: String {
        case weights = ""
        /// What is trained as a running mean; only some runs take one.
        case average = "_ema"
        case optimizer = "_optim"
    }

    /// What was written at one update.
    struct Checkpoint {
        let info: JSON
        let updates: Int
        /// Of every file, `info.json` too: the ending it stands under.
        fileprivate let endings: [(file: String, ending: String)]
    }

    private static let infoFile = "info.json"
    /// What `info.json` keeps of the configuration: as it was written, and with every key's value in effect.
    static let (writtenKey, effectiveKey) = ("configuration", "effective")
    /// And what it keeps of the content of what the run read.
    static let inputsKey = "inputs"
    private static let staged = ".new"
    /// The most that `info.json` may have.
    private static let infoBytes = 64 << 20

    /// Makes the folder, and keeps other runs from training in it for as long as this value lives.
    /// - Parameter isWritten: false where another process of this run writes, and keeps it.
    init(_ run: RunConfiguration, name: String, isWritten: Bool = true) throws {
        path = "\(run.checkpointPath)/\(run.experimentID)"
        self.name = name
        kept = run.keepLast
        try Folder.make(path)
        lock = try isWritten ? FolderLock(path) : nil
    }

    /// The file of what is trained.
    var weightsPath: String { "\(path)/\(file(.weights))" }

    private func file(_ kind: Kind) -> String { "\(name)\(kind.rawValue).safetensors" }

    /// Opens a file of a checkpoint; nil where it has none of that kind.
    func open(_ kind: Kind, of checkpoint: Checkpoint) throws -> SafetensorsFile? {
        try checkpoint.endings.first { $0.file == file(kind) }.map {
            try SafetensorsFile("\(path)/\($0.file)\($0.ending)")
        }
    }

    // MARK: Writing

    /// Writes a checkpoint. Where that fails, such as on a full disk, the ones before stand as they stood.
    func save(updates: Int, info: JSON.Object, _ parts: [Part]) throws {
        let files = parts.map { file($0.kind) } + [Self.infoFile]
        do {
            var digests = JSON.Object()
            for (part, file) in zip(parts, files) {
                digests[file] = .string(try part.write("\(path)/\(file)\(Self.staged)"))
            }
            var info = info
            info["updates"] = .integer(updates)
            info["files"] = .object(digests)
            try writeAtomically(JSON.object(info).text() + "\n", to: "\(path)/\(Self.infoFile)\(Self.staged)")
        } catch {
            removeStaged()
            throw error
        }
        for file in files { try stepForward(file) }
        for file in files {
            var index = kept + 1
            while unlink("\(path)/\(file)\(Self.ending(index))") == 0 { index += 1 }
        }
        syncFolder(of: weightsPath)
    }

    /// Writes a numbered copy of what is trained, or of its running mean.
    func backUp(updates: Int, _ part: Part) throws {
        let label = updates % 1000 == 0 ? "\(updates / 1000)k" : "\(updates)"
        _ = try part.write("\(path)/\(name)\(part.kind.rawValue)_\(label).safetensors")
    }

    /// Under which ending the checkpoint so many before the newest stands.
    private static func ending(_ index: Int) -> String { index == 0 ? "" : index == 1 ? ".bak" : ".bak\(index)" }

    /// The reverse of ``ending(_:)``; nil for what is none.
    private static func index(_ ending: Substring) -> Int? {
        if ending.isEmpty { return 0 }
        guard ending.hasPrefix(".bak") else { return nil }
        let number = ending.dropFirst(4)
        return number.isEmpty ? 1 : Int(number).flatMap { $0 > 1 && String($0) == number ? $0 : nil }
    }

    /// Puts a new file in its place and those before it one back each, as far as the first gap: where there is one, this
    /// was begun before.
    private func stepForward(_ file: String) throws {
        var gap = 0
        while gap < kept, fileExists("\(path)/\(file)\(Self.ending(gap))") { gap += 1 }
        for index in stride(from: gap, to: 0, by: -1) { try move(file, Self.ending(index - 1), Self.ending(index)) }
        try move(file, Self.staged, "")
    }

    private func move(_ file: String, _ from: String, _ to: String) throws {
        let from = "\(path)/\(file)\(from)"
        guard rename(from, "\(path)/\(file)\(to)") == 0 else {
            throw SystemError.current.failure("can't move the file", path: from)
        }
    }

    /// Removes what a save has left that did not come to its end.
    private func removeStaged() {
        let names = (try? Folder.names(path)) ?? []
        for name in names where name.hasSuffix(Self.staged) || isTemporary(name) { _ = unlink("\(path)/\(name)") }
    }

    /// Whether a file is what a killed process was writing: an ``AtomicFile`` of this run.
    private func isTemporary(_ file: String) -> Bool {
        file.hasSuffix(".tmp") && [name, Self.infoFile].contains { file.hasPrefix($0) }
    }

    // MARK: Reading

    /// What the newest checkpoint in a folder says of itself, whole or not; nil where there is none.
    static func info(in folder: String) -> JSON? {
        let names = (try? Folder.names(folder)) ?? []
        let endings = names.filter { $0.hasPrefix(infoFile) }.map { $0.dropFirst(infoFile.count) }
        let order = endings.compactMap { ending in
            (ending == staged ? -1 : index(ending)).map { (ending: ending, index: $0) }
        }.sorted { $0.index < $1.index }
        return order.lazy.compactMap { ending, _ in
            let info = try? JSON.read("\(folder)/\(infoFile)\(ending)", maximumBytes: infoBytes)
            return info?["updates"]?.intValue == nil ? nil : info
        }.first
    }

    /// The last whole checkpoint; nil where the run has none yet.
    /// - Parameter warn: told of what is passed over.
    /// - Throws: a failure of the input where there are files and none of them make a whole checkpoint.
    func last(warn: (String) -> Void) throws -> Checkpoint? {
        let names = try Folder.names(path)
        let endings = names.compactMap { name -> (ending: String, index: Int)? in
            for file in [Self.infoFile, file(.weights)] where name.hasPrefix(file) {
                let ending = name.dropFirst(file.count)
                // What is staged counts once all of it is, and `info.json` is written last.
                if ending == Self.staged { return file == Self.infoFile ? (Self.staged, -1) : nil }
                if let index = Self.index(ending) { return (String(ending), index) }
            }
            return nil
        }
        let order = Dictionary(endings.map { ($0.ending, $0.index) }) { first, _ in first }
            .sorted { $0.value < $1.value }.map(\.key)
        guard !order.isEmpty else { return nil }

        var problems: [String] = []
        func pass(_ problem: String) {
            problems.append(problem)
            warn("passed over: \(problem)")
        }
        var infos: [(info: JSON, updates: Int, ending: String)] = []
        for ending in order where fileExists("\(path)/\(Self.infoFile)\(ending)") {
            let file = "\(path)/\(Self.infoFile)\(ending)"
            do {
                let info = try JSON.read(file, maximumBytes: Self.infoBytes)
                if let other = recipe(of: info) { throw another(recipe: other) }
                if let updates = info["updates"]?.intValue, namesParts(info["files"]) {
                    infos.append((info, updates, ending))
                } else {
                    pass("\(file): it does not say which files belong to it")
                }
            } catch let failure as Failure where failure.what == Self.otherRecipe {
                throw failure
            } catch {
                pass("\(error)")
            }
        }
        let digests = Digests()
        for (info, updates, ending) in infos.sorted(by: { $0.updates > $1.updates }) {
            var places = [(file: Self.infoFile, ending: ending)]
            for (file, digest) in info["files"]?.objectValue ?? JSON.Object() {
                // Where its neighbours stand first, so that nothing else has to be read.
                let found = ([ending] + order.filter { $0 != ending }).first {
                    digests["\(path)/\(file)\($0)"] == digest.stringValue
                }
                if let found { places.append((file, found)) } else { pass(problem(file, ending, updates)) }
            }
            if places.count == (info["files"]?.objectValue?.count ?? 0) + 1 {
                return Checkpoint(info: info, updates: updates, endings: places)
            }
        }
        throw Failure.input(
            "the checkpoint of this run is damaged", at: Failure.Place(path),
            expected: "info.json and the files that it names, \(file(.weights)) and \(file(.optimizer)) among them",
            got: problems.first ?? "no info.json",
            advice: "delete the folder to start anew, or choose another experiment_id")
    }

    private static let otherRecipe = "the folder of this experiment_id holds a run of another recipe"

    /// The name of another recipe's files that a checkpoint consists of; nil where they are of this one, or of none.
    private func recipe(of info: JSON) -> String? {
        let names = ["controlnet", "lora", "generator"]
        guard let files = info["files"]?.objectValue, !files.isEmpty, info["updates"]?.intValue != nil else {
            return nil
        }
        return names.first { other in
            other != name && files.allSatisfy { $0.key.hasPrefix("\(other).") || $0.key.hasPrefix("\(other)_") }
        }
    }

    private func another(recipe: String) -> Failure {
        .input(
            Self.otherRecipe, at: Failure.Place(path), expected: "a run whose files are called \(name)",
            got: "one of \(recipe)", advice: "choose another experiment_id")
    }

    /// Whether this is what ``save(updates:info:_:)`` writes of the other files: their names, and texts.
    private func namesParts(_ files: JSON?) -> Bool {
        guard let files = files?.objectValue, !files.isEmpty else { return false }
        return files.allSatisfy { $0.key.hasPrefix(name) && !$0.key.contains("/") && $0.value.stringValue != nil }
    }

    private func problem(_ file: String, _ ending: String, _ updates: Int) -> String {
        let path = "\(path)/\(file)\(ending == Self.staged ? "" : ending)"
        return "\(path): " + (fileExists(path) ? "it is not as update \(updates) saved it" : "there is no such file")
    }

    /// Brings a checkpoint's files under their own names, once a run is to go on from it: ends a save that was cut short,
    /// or puts aside what was passed over, the newest as `.damaged`.
    func settle(_ checkpoint: Checkpoint) throws {
        for (file, ending) in checkpoint.endings {
            if ending == Self.staged {
                try stepForward(file)
            } else if let passed = Self.index(ending[...]), passed > 0 {
                if fileExists("\(path)/\(file)") { try move(file, "", ".damaged") }
                for index in 1..<passed { _ = unlink("\(path)/\(file)\(Self.ending(index))") }
                var index = passed
                while fileExists("\(path)/\(file)\(Self.ending(index))") {
                    try move(file, Self.ending(index), Self.ending(index - passed))
                    index += 1
                }
            }
        }
        removeStaged()
        syncFolder(of: weightsPath)
    }

    /// SHA-256 of files, each read once; nil for what can't be read.
    private final class Digests {
        private var known: [String: String?] = [:]

        subscript(path: String) -> String? {
            if let digest = known[path] { return digest }
            let digest = fileExists(path) ? try? SHA256.hex(ofFile: path) : nil
            known[path] = .some(digest)
            return digest
        }
    }
}
