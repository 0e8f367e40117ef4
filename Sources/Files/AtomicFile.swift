import Failures
import Glibc

/// A file that appears at its place whole or not at all: written beside it, synced, and renamed over it.
///
/// A file that is never committed leaves nothing behind.
public final class AtomicFile {
    private let path: String
    private let beside: String
    private var descriptor: Int32

    /// - Throws: a failure of the run where the folder can't be written.
    public init(_ path: String) throws {
        self.path = path
        beside = "\(path).\(getpid()).part"
        descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileProblem.failure("cannot be written", path, blame: .run) }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(beside)
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(descriptor >= 0, "written after commit")
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileProblem.failure("cannot be written", path, blame: .run) }
            written += count
        }
    }

    public func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Syncs the file and puts it at its place.
    public func commit() throws {
        precondition(descriptor >= 0, "committed twice")
        guard fsync(descriptor) == 0 else { throw FileProblem.failure("cannot be written", path, blame: .run) }
        guard rename(beside, path) == 0 else { throw FileProblem.failure("cannot be written", path, blame: .run) }
        close(descriptor)
        descriptor = -1
        syncFolder()
    }

    /// Makes the new name itself survive a crash; not every file system can, so a refusal is not an error.
    private func syncFolder() {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { return }
        _ = fsync(handle)
        close(handle)
    }
}
