import Failures
import Files
import Glibc
import JSON

/// What is there of a download, `PATH.part`, with the note that says of what, `PATH.part.json`.
///
/// The note names the address without user, password and query: no secret lies on the disk, and a signed address can
/// be signed anew. Whether the file is still the same is for its validator to tell.
final class PartFile {
    /// What is known of the file that is being downloaded.
    struct State {
        var address: String
        var validator = WebValidator()
        var total: Int?
        /// How much of it is there.
        var bytes = 0
    }

    private let path: String
    private let descriptor: Int32
    private var partPath: String { "\(path).part" }
    private var notePath: String { "\(path).part.json" }

    /// Opens it, or makes it, and keeps others from writing to it.
    init(path: String) throws {
        if Folder.isFolder(path) {
            throw SystemError(code: EISDIR).failure("can't write the file", path: path)
        }
        self.path = path
        descriptor = open("\(path).part", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw SystemError.current.failure("can't write the file", path: "\(path).part") }
        // Whoever held the lock before may have given the file its final name meanwhile.
        var (opened, named) = (stat(), stat())
        guard takeLock(descriptor), fstat(descriptor, &opened) == 0,
            stat("\(path).part", &named) == 0, opened.st_ino == named.st_ino
        else {
            throw Failure.run(
                "another process is downloading this file", at: .init("\(path).part"),
                advice: "wait for it, or end it; then start again")
        }
    }

    deinit { _ = close(descriptor) }

    /// What an earlier start left, and the digest of it; nothing where it is of another address.
    func resumed(from address: WebAddress) throws -> (state: State, digest: SHA256) {
        var state = State(address: "\(address)")
        var digest = SHA256()
        var facts = stat()
        guard let note = readNote(of: state.address), fstat(descriptor, &facts) == 0,
            note.total.map({ Int(facts.st_size) <= $0 }) ?? true
        else {
            try truncate()
            return (state, digest)
        }
        state = note
        lseek(descriptor, 0, SEEK_SET)
        try withUnsafeTemporaryAllocation(byteCount: 1 << 20, alignment: 64) { piece in
            while true {
                let count = Glibc.read(descriptor, piece.baseAddress, piece.count)
                if count < 0 && errno == EINTR { continue }
                if count < 0 { throw SystemError.current.failure("can't read the file", path: partPath) }
                if count == 0 { return }
                digest.update(UnsafeRawBufferPointer(rebasing: piece[..<count]))
                state.bytes += count
            }
        }
        return (state, digest)
    }

    /// The note, where there is one of this address that tells the file's states apart.
    private func readNote(of address: String) -> State? {
        guard fileExists(notePath), let note = try? JSON.read(notePath), note["address"]?.stringValue == address else {
            return nil
        }
        let validator = WebValidator(etag: note["etag"]?.stringValue, lastModified: note["last_modified"]?.stringValue)
        return State(address: address, validator: validator, total: note["total"]?.intValue)
    }

    func write(_ state: State) throws {
        let note: JSON = [
            "address": .string(state.address), "etag": state.validator.etag.map(JSON.string) ?? .null,
            "last_modified": state.validator.lastModified.map(JSON.string) ?? .null,
            "total": state.total.map { .integer($0) } ?? .null,
        ]
        try writeAtomically(note.text() + "\n", to: notePath)
    }

    /// Forgets what is there.
    func truncate() throws {
        guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw SystemError.current.failure("can't write the file", path: partPath)
        }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            if written < 0 { throw SystemError.current.failure("can't write the file", path: partPath) }
            rest = rest.dropFirst(written)
        }
    }

    /// Syncs it and gives it the name it was downloaded for.
    func commit() throws {
        guard fsync(descriptor) == 0, rename(partPath, path) == 0 else {
            throw SystemError.current.failure("can't finish the file", path: path)
        }
        _ = unlink(notePath)
        syncFolder(of: path)
    }

    /// Removes what is of no use to a later start.
    func removeIfEmpty() {
        var facts = stat()
        if fstat(descriptor, &facts) == 0, facts.st_nlink > 0, facts.st_size == 0 { remove() }
    }

    /// Removes all there is.
    func remove() {
        _ = unlink(partPath)
        _ = unlink(notePath)
    }
}
