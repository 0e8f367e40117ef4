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

    /// Whether a folder lies at a path, or a link to one.
    public static func isFolder(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }

    /// The names in a folder that are UTF-8, sorted, without `.` and `..`.
    public static func names(_ path: String) throws -> [String] { try allNames(path).names.sorted() }

    /// The names in a folder without `.` and `..`; of those that are not UTF-8, and that no text can lead to, the bytes
    /// that are none stand as `\\xE9`.
    public static func allNames(_ path: String) throws -> (names: [String], others: [String]) {
        guard let stream = opendir(path) else {
            throw SystemError.current.failure("can't read the folder", path: path)
        }
        defer { closedir(stream) }
        var (names, others): ([String], [String]) = ([], [])
        while let entry = readdir(stream) {
            let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            guard let name = String(validating: bytes, as: UTF8.self) else {
                others.append(shown(bytes))
                continue
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return (names, others)
    }

    private static func shown(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            byte < 0x80
                ? String(Unicode.Scalar(byte)) : "\\x" + zeroPadded(UInt32(byte), digits: 2, radix: 16).uppercased()
        }.joined()
    }
}
