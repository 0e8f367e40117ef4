import Failures
import Glibc

/// Small files read and written whole.
public enum WholeFile {
    /// The bytes of a file; a failure where it cannot be read, is a folder or holds more than `maximumBytes`.
    public static func read(_ path: String, maximumBytes: Int) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw problem("cannot be opened", path) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw problem("cannot be read", path) }
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
            guard count >= 0 else { throw problem("cannot be read", path) }
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
        let beside = "\(path).\(getpid()).part"
        let descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw problem("cannot be written", path, blame: Failure.run) }
        var written = 0
        var fine = true
        while fine && written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { written += count } else { fine = errno == EINTR }
        }
        fine = fine && fsync(descriptor) == 0
        let reason = errno
        close(descriptor)
        if !fine { errno = reason }
        guard fine, rename(beside, path) == 0 else {
            let failure = problem("cannot be written", path, blame: Failure.run)
            unlink(beside)
            throw failure
        }
    }

    private static func problem(
        _ what: String, _ path: String,
        blame: (String, Failure.Place?, String?, String?, String?) -> Failure = Failure.input
    ) -> Failure {
        blame(what + " (" + String(cString: strerror(errno)) + ")", Failure.Place(path), nil, nil, nil)
    }
}
