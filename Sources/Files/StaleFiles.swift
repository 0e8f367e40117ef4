import Glibc

/// Removes what killed processes have left beside a file: temporary files of its name that nobody holds a lock on.
///
/// - Parameter path: of the file they were to become.
func removeStaleFiles(beside path: String) {
    let folder = parentFolder(of: path)
    let start = lastComponent(of: path) + "."
    for name in (try? Folder.names(folder)) ?? [] where name.hasPrefix(start) && name.hasSuffix(".tmp") {
        let numbers = name.dropFirst(start.count).dropLast(".tmp".count).split(
            separator: "-", omittingEmptySubsequences: false)
        guard numbers.count == 2, let process = Int32(numbers[0]), process > 0, Int(numbers[1]) != nil else { continue }
        // Another process's file has no lock for a moment after it is made.
        guard process == getpid() || kill(process, 0) != 0 && errno == ESRCH else { continue }
        let stale = sibling(name, of: path)
        let descriptor = open(stale, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { continue }
        defer { _ = close(descriptor) }
        // A file system without locks does not tell, and its leftovers stay.
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { _ = unlink(stale) }
    }
}
