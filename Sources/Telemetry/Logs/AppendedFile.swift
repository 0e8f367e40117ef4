import Failures
import Files
import Glibc

/// A file that grows by whole pieces. A piece is the system's as soon as it is appended, so a killed process loses none;
/// a power cut may take what came after the last ``sync()``.
final class AppendedFile {
    private let path: String
    private let descriptor: Int32
    private(set) var length: Int

    /// Opens the file at its end, or makes it.
    /// - Parameter kept: Cuts the file to so many bytes first; nil keeps all.
    init(_ path: String, keeping kept: Int? = nil) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        length = 0
        guard descriptor >= 0 else { throw Self.failure(path) }
        if let kept, ftruncate(descriptor, kept) != 0 { throw Self.failure(path) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw Self.failure(path) }
        length = Int(facts.st_size)
    }

    deinit { close(descriptor) }

    /// - Throws: Where not all can be written, such as on a full disk. A piece that is torn so is the file's last.
    func append(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path) }
            rest = rest.dropFirst(count)
            length += count
        }
    }

    /// Waits until all that was appended is on the disk.
    func sync() throws {
        // Devices and pipes have nothing to wait for.
        guard fdatasync(descriptor) == 0 || errno == EINVAL else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> Failure {
        SystemError.current.failure("can't write the file", path: path)
    }
}

/// A file that is read here and there.
final class OpenedFile {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError.current.failure("can't read the file", path: path) }
    }

    deinit { close(descriptor) }

    /// Bytes from a position on; fewer than asked for where the file ends.
    func read(at position: Int, count: Int) throws -> [UInt8] {
        var got = 0
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while got < count {
                let more = pread(descriptor, buffer.baseAddress.map { $0 + got }, count - got, position + got)
                if more < 0 && errno == EINTR { continue }
                if more < 0 { code = errno }
                guard more > 0 else { break }
                got += more
            }
            initialized = got
        }
        guard code == 0 else { throw SystemError(code: code).failure("can't read the file", path: path) }
        return bytes
    }
}
