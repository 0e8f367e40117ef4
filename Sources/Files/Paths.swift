import Glibc

/// Whether two paths lead to one file, whatever links lie between.
public func isSameFile(_ path: String, _ other: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(path, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev
        && first.st_ino == second.st_ino
}

/// What follows the last `/` of a path; slashes at its end do not count.
public func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
}

/// The folder that a path lies in: what precedes its last `/`, `.` where there is none.
public func parentFolder(of path: String) -> String {
    path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
}

/// The path of a name in a folder, which may be written with a slash at its end.
public func path(_ name: String, in folder: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}

/// The path of a name in the folder that a path lies in.
public func sibling(_ name: String, of path: String) -> String {
    (path.lastIndex(of: "/").map { String(path[...$0]) } ?? "") + name
}

/// The file of the program that runs, without links on the way; nil where the system does not tell.
public func programPath() -> String? {
    realpath("/proc/self/exe", nil).map { path in
        defer { free(path) }
        return String(cString: path)
    }
}
