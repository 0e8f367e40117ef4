import Failures
import Glibc

/// Small files read and written whole.
public enum WholeFile {
    /// The bytes of a file; a failure where it cannot be read, is a folder or holds more than `maximumBytes`.
    public static func read(_ path: String, maximumBytes: Int) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileProblem.failure("cannot be opened", path, blame: .input) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw FileProblem.failure("cannot be read", path, blame: .input) }
        guard facts.st_mode & S_IFMT != S_IFDIR else {
            throw Failure.input("this is a folder", at: Failure.Place(path), expected: "a file")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(max(0, min(Int(facts.st_size), maximumBytes)))
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { piece.deallocate() }
        while true {
            let count = Glibc.read(descriptor, piece.baseAddress, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileProblem.failure("cannot be read", path, blame: .input) }
            if count == 0 { return bytes }
            guard bytes.count + count <= maximumBytes else {
                throw Failure.input(
                    "the file is too large", at: Failure.Place(path), expected: "at most \(maximumBytes) bytes")
            }
            bytes.append(contentsOf: piece[..<count])
        }
    }

    /// Writes a file beside its place, syncs it and renames it over: a reader never sees half a file.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        let file = try AtomicFile(path)
        try file.write(bytes)
        try file.commit()
    }

    /// Whether there is a file (not a folder) at a path.
    public static func exists(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT != S_IFDIR
    }
}
