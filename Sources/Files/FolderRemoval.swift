import Glibc

extension Folder {
    /// Removes a file or a folder with all that is in it. What can't be removed stays.
    public static func remove(_ path: String) {
        var facts = stat()
        // A link is removed and not followed.
        guard lstat(path, &facts) == 0 else { return }
        guard facts.st_mode & S_IFMT == S_IFDIR else {
            _ = unlink(path)
            return
        }
        for name in (try? names(path)) ?? [] { remove("\(path)/\(name)") }
        _ = rmdir(path)
    }
}
