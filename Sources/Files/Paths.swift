/// What follows the last `/` of a path; slashes at its end do not count.
public func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
}

/// The folder that a path lies in: what precedes its last `/`, `.` where there is none.
public func parentFolder(of path: String) -> String {
    path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
}
