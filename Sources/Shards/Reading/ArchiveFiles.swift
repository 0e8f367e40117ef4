import CArchive
import Failures
import Files
import Glibc

/// A file wanted out of an archive, known to the byte.
public struct ArchivedFile: Sendable {
    /// Its path in the archive.
    public let path: String
    /// Where it is to lie.
    public let destination: String
    /// The exact length of the file; a longer or shorter one is refused.
    public let bytes: Int
    /// In hexadecimal, lower case.
    public let sha256: String

    /// - Parameters:
    ///   - path: in the archive.
    ///   - destination: where it is to lie.
    ///   - bytes: the exact length.
    ///   - sha256: in hexadecimal, lower case.
    public init(path: String, destination: String, bytes: Int, sha256: String) {
        self.path = path
        self.destination = destination
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// Takes files out of an archive, a zip file such as a Python wheel or a tar however packed, and checks them.
/// - Parameter isCancelled: asked while files are written.
/// - Throws: a failure of the input where the archive is damaged, lacks one or has another of its name; then none of
///   them is left. `CancellationError` likewise.
public func extractFiles(
    _ files: [ArchivedFile], from archive: String, isCancelled: () -> Bool = { false }
) throws {
    let reader = try ArchiveFiles(archive)
    var awaited = Dictionary(files.map { ($0.path, $0) }) { first, _ in first }
    var written: [String] = []
    do {
        while !awaited.isEmpty, let path = try reader.next() {
            guard let file = awaited.removeValue(forKey: path) else { continue }
            try reader.write(file, isCancelled)
            written.append(file.destination)
        }
        if let absent = files.first(where: { awaited[$0.path] != nil }) {
            throw Failure.input("a file is missing in the archive", at: .init(archive), expected: absent.path)
        }
    } catch {
        for path in written { _ = unlink(path) }
        throw error
    }
}

/// The regular files of one archive, one after the other.
private final class ArchiveFiles {
    private let path: String
    private let descriptor: Int32
    private var archive: OpaquePointer?

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw SystemError.current.failure("can't read the archive", path: path) }
        try check(expecting: "a zip file or a tar") {
            cascade_archive_reader_open_package(descriptor, &archive, $0, $1)
        }
    }

    deinit {
        cascade_archive_reader_close(archive)
        if descriptor >= 0 { _ = close(descriptor) }
    }

    /// Steps to the next file.
    /// - Returns: its path in the archive; nil at the end.
    func next() throws -> String? {
        var name: UnsafePointer<CChar>?
        var size: Int64 = 0
        let status = try check { cascade_archive_reader_next(archive, &name, &size, $0, $1) }
        return status == CASCADE_ARCHIVE_END ? nil : name.map { String(cString: $0) }
    }

    /// Writes the present file to its destination, never more of it than there should be.
    func write(_ wanted: ArchivedFile, _ isCancelled: () -> Bool) throws {
        let file = try AtomicFile(at: wanted.destination)
        var digest = SHA256()
        var count = 0
        try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 16) { piece in
            while count <= wanted.bytes {
                if isCancelled() { throw CancellationError() }
                var got = 0
                let status = try check {
                    cascade_archive_reader_read(archive, piece.baseAddress, piece.count, &got, $0, $1)
                }
                if status == CASCADE_ARCHIVE_END { return }
                let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<got])
                count += got
                digest.update(bytes)
                if count <= wanted.bytes { try file.write(bytes) }
            }
        }
        let place = Failure.Place("\(path): \(wanted.path)")
        guard count == wanted.bytes else {
            throw Failure.input(
                "this is another file than the one that is known", at: place, expected: "\(wanted.bytes) bytes",
                got: count < wanted.bytes ? "\(count)" : "more")
        }
        let found = digest.finish()
        guard found == wanted.sha256 else {
            throw Failure.input(
                "this is another file than the one that is known", at: place, expected: "SHA-256 \(wanted.sha256)",
                got: found)
        }
        try file.commit()
    }

    @discardableResult
    private func check(
        expecting expected: String? = nil, _ call: (UnsafeMutablePointer<CChar>, Int) -> CascadeArchiveStatus
    ) throws -> CascadeArchiveStatus {
        let (status, message) = withErrorMessage(call)
        if status == CASCADE_ARCHIVE_OK || status == CASCADE_ARCHIVE_END { return status }
        throw Failure.input("can't read the archive", at: .init(path), expected: expected, got: message)
    }
}
