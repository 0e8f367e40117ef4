import Glibc

/// A folder in `TMPDIR`, or `/tmp`, that is removed with all that is in it when the last reference goes.
public final class TemporaryFolder {
    /// Where it was made; empty at first, and for its owner alone.
    public let path: String

    /// - Throws: a failure of the run where it can't be made.
    public init() throws {
        let folder = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        var name = Array("\(folder)/cascade-adapt-XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { throw SystemError.current.failure("can't make a folder", path: folder) }
        path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { Folder.remove(path) }
}
