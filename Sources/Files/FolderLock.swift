import Failures
import Glibc

/// Keeps a folder to this process for as long as it lives, however it ends.
public final class FolderLock {
    private let descriptor: Int32

    /// - Throws: a failure of the run where another process, or another lock of this one, has the folder.
    public init(_ path: String) throws {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError.current.failure("can't open the folder", path: path) }
        guard takeLock(descriptor) else {
            close(descriptor)
            throw Failure.run(
                "the folder is in use by another process", at: .init(path),
                advice: "wait for that process to end, or choose another folder")
        }
    }

    deinit { close(descriptor) }
}

/// Locks an open file or folder to this process; false where another has it. A file system that knows no locks is used
/// without.
/// - Parameter lock: the system's call.
public func takeLock(
    _ descriptor: Int32, by lock: (_ descriptor: Int32, _ operation: Int32) -> Int32 = { flock($0, $1) }
) -> Bool {
    lock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
}
