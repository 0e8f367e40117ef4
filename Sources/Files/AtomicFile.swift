import Glibc
import Synchronization

/// A file written beside its place, synced and renamed over it, so that a reader never sees half of it.
///
/// What was not finished with ``commit()`` leaves no trace: the temporary file goes when this value does, and at an
/// interruption where ``UnfinishedFiles/removeWhenInterrupted()`` was asked for; what a killed process left goes when
/// the file is begun again. A path that names a device or a pipe is written directly; a symbolic link stays, and the
/// file it names is replaced.
public struct AtomicFile: ~Copyable {
    /// The place the file will have.
    public let path: String
    /// The temporary file, for doors that write to descriptors themselves; it stays this value's.
    public let descriptor: Int32
    private let temporary: String?
    private let unfinished: Int?
    private var isCommitted = false

    private static let counter = Atomic<Int>(0)

    /// Opens the temporary file beside `path`.
    /// - Parameter removingStale: whether to look for leftovers first, for which the folder is listed.
    public init(at path: String, removingStale: Bool = true) throws {
        let target = realpath(path, nil).map { resolved in
            defer { free(resolved) }
            return String(cString: resolved)
        }
        let place = target ?? path
        var status = stat()
        let kind = stat(place, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG
        if kind == S_IFDIR { throw SystemError(code: EISDIR).failure("can't write the file", path: path) }
        var opened: Int32
        var beside: String?
        var noted: Int?
        if kind == S_IFREG {
            if removingStale { removeStaleFiles(beside: place) }
            // A name taken already is the leftover of a killed process that had the same number.
            repeat {
                let name = "\(place).\(getpid())-\(AtomicFile.counter.add(1, ordering: .relaxed).newValue).tmp"
                // Noted first: an interruption may come as soon as the file is there.
                noted = UnfinishedFiles.add(name)
                opened = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
                if opened < 0, let place = noted { UnfinishedFiles.forget(place) }
                beside = name
            } while opened < 0 && errno == EEXIST
        } else {
            opened = open(place, O_WRONLY | O_CLOEXEC)
        }
        if opened < 0 { throw SystemError.current.failure("can't write the file", path: path) }
        // The lock goes with the process, however it ends: that tells a leftover from a file that is being written.
        if beside != nil { _ = flock(opened, LOCK_EX | LOCK_NB) }
        unfinished = noted
        self.path = place
        descriptor = opened
        temporary = beside
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            if written < 0 { throw SystemError.current.failure("can't write the file", path: path) }
            rest = rest.dropFirst(written)
        }
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }

    /// Syncs the file and puts it in its place. The last thing done to it.
    public consuming func commit() throws {
        if let temporary {
            guard fsync(descriptor) == 0, rename(temporary, path) == 0 else {
                throw SystemError.current.failure("can't finish the file", path: path)
            }
            isCommitted = true
            syncFolder(of: path)
        }
    }

    /// Puts the file in its place without waiting for the disk: a power cut may tear it or lose it. The last thing done
    /// to it.
    public consuming func commitUnsynced() throws {
        guard let temporary else { return }
        guard rename(temporary, path) == 0 else {
            throw SystemError.current.failure("can't finish the file", path: path)
        }
        isCommitted = true
    }

    deinit {
        if let temporary, !isCommitted { _ = unlink(temporary) }
        if let unfinished { UnfinishedFiles.forget(unfinished) }
        _ = close(descriptor)
    }
}

/// Makes a new name survive a power cut; a file system that can't is no reason to fail.
public func syncFolder(of path: String) {
    let opened = open(parentFolder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard opened >= 0 else { return }
    _ = fsync(opened)
    _ = close(opened)
}

/// Writes a file beside its place, syncs it and renames it over; on failure nothing has changed.
public func writeAtomically(_ bytes: [UInt8], to path: String) throws {
    let file = try AtomicFile(at: path)
    try file.write(bytes)
    try file.commit()
}

/// Writes text as UTF-8, likewise.
public func writeAtomically(_ text: String, to path: String) throws {
    try writeAtomically([UInt8](text.utf8), to: path)
}
