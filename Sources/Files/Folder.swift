import Failures
import Glibc

/// Folders and the names in them.
public enum Folder {
    /// Makes a folder and those above it.
    /// - Throws: a failure of the run where that can't be done.
    public static func make(_ path: String) throws {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += part + "/"
            if mkdir(made, 0o755) != 0 && errno != EEXIST {
                throw SystemError.current.failure("can't make the folder", path: String(made.dropLast()))
            }
        }
        guard isFolder(path) else {
            throw Failure.run("the folder cannot be made", at: Failure.Place(path), got: "a file of that name")
        }
    }

    public static func isFolder(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }

    /// The names in a folder, sorted, without `.` and `..`.
    public static func names(_ path: String) throws -> [String] {
        guard let stream = opendir(path) else {
            throw SystemError.current.failure("can't read the folder", path: path)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
