import Glibc

/// A folder beside a path, where numbered files wait to be put in their places together: `PATH.PROCESS.tmp` with `0`, `1`
/// and so on in it.
///
/// It goes with this value, and at an interruption where ``UnfinishedFiles/removeWhenInterrupted()`` was asked for; what a
/// killed process left goes when the next is begun for the same path.
public final class AtomicFolder {
    private let folder: String
    private let lock: FolderLock
    private let unfinished: Int?

    /// - Throws: a failure of the run where it can't be made.
    public init(for path: String) throws {
        Self.removeStale(for: path)
        folder = "\(path).\(getpid()).tmp"
        // Noted first: an interruption may come as soon as it is there.
        unfinished = UnfinishedFiles.add(folder, isFolder: true)
        do {
            guard mkdir(folder, 0o755) == 0 else {
                throw SystemError.current.failure("can't write the shards", path: path)
            }
            // The lock goes with the process, however it ends: that tells a leftover from a folder in use.
            lock = try FolderLock(folder)
        } catch {
            _ = rmdir(folder)
            if let unfinished { UnfinishedFiles.forget(unfinished) }
            throw error
        }
    }

    deinit {
        for number in 0..<count { _ = unlink(path(number)) }
        _ = rmdir(folder)
        if let unfinished { UnfinishedFiles.forget(unfinished) }
    }

    /// How many files may be there.
    public var count = 0 {
        didSet { if let unfinished { UnfinishedFiles.note(count, in: unfinished) } }
    }

    /// Where the file of a number waits.
    public func path(_ number: Int) -> String { "\(folder)/\(number)" }

    /// Removes what killed processes have left: folders of this name that nobody holds a lock on, with the numbered files
    /// in them and what was to become one; where anything else lies in one, it stays.
    private static func removeStale(for path: String) {
        let start = lastComponent(of: path) + "."
        for name in (try? Folder.names(parentFolder(of: path))) ?? []
        where name.hasPrefix(start) && name.hasSuffix(".tmp") {
            guard let process = Int32(name.dropFirst(start.count).dropLast(".tmp".count)), process > 0,
                // Another process's folder has no lock for a moment after it is made.
                process == getpid() || kill(process, 0) != 0 && errno == ESRCH
            else { continue }
            let stale = sibling(name, of: path)
            guard Folder.isFolder(stale), let lock = try? FolderLock(stale) else { continue }
            withExtendedLifetime(lock) {
                for file in (try? Folder.names(stale)) ?? [] where isNumbered(file) { _ = unlink("\(stale)/\(file)") }
                _ = rmdir(stale)
            }
        }
    }

    /// Whether a name is a number, or that of a temporary file which was to have it.
    private static func isNumbered(_ name: String) -> Bool {
        let number = name.prefix { $0 != "." }
        return Int(number) != nil && (number.count == name.count || name.hasSuffix(".tmp"))
    }
}
