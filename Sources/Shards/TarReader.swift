import CArchive
import Failures
import Files
import Glibc

/// The regular files of one tar, one after the other; gzip, bzip2, xz and zstd are unpacked on the way.
final class TarReader {
    /// What a step through the tar met.
    enum Step: Equatable {
        /// A member's name; its content is next.
        case member(String)
        /// A damaged stretch, after which reading may go on.
        case damage(String)
        /// Damage after which nothing can be read.
        case broken(String)
        case end
    }

    /// A member's content, or why there is none.
    enum Content: Equatable {
        case whole([UInt8])
        case tooLarge
        case damage(String)
        case broken(String)
    }

    private let descriptor: Int32
    private var archive: OpaquePointer?

    init(path: String) throws {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw SystemError.current.failure("can't read the shard", path: path) }
        let (status, message) = withErrorMessage { cascade_archive_reader_open(descriptor, &archive, $0, $1) }
        if status != CASCADE_ARCHIVE_OK {
            // An initialiser that throws this late still runs `deinit`, which closes the descriptor.
            throw Failure.input("can't read the shard", at: .init(path), expected: "a tar file", got: message)
        }
    }

    deinit {
        cascade_archive_reader_close(archive)
        _ = close(descriptor)
    }

    func next() -> Step {
        var name: UnsafePointer<CChar>?
        let (status, message) = withErrorMessage { cascade_archive_reader_next(archive, &name, $0, $1) }
        switch status {
        case CASCADE_ARCHIVE_OK: return name.map { .member(String(memberName: $0)) } ?? .damage("no name")
        case CASCADE_ARCHIVE_END: return .end
        case CASCADE_ARCHIVE_DAMAGED: return .damage(message)
        default: return .broken(message)
        }
    }

    /// The present member's content. Memory grows with what is really there, never with the size a header declares.
    func content(limit: Int) -> Content {
        var bytes: [UInt8] = []
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 16) { chunk in
            while true {
                var got = 0
                let (status, message) = withErrorMessage {
                    cascade_archive_reader_read(archive, chunk.baseAddress, chunk.count, &got, $0, $1)
                }
                switch status {
                case CASCADE_ARCHIVE_OK: bytes.append(contentsOf: chunk[..<got])
                case CASCADE_ARCHIVE_END: return .whole(bytes)
                case CASCADE_ARCHIVE_DAMAGED: return .damage(message)
                default: return .broken(message)
                }
                if bytes.count > limit { return .tooLarge }
            }
        }
    }
}
