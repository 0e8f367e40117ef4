import CArchive
import Failures

/// A ustar file on a descriptor, equal bytes for equal members.
final class TarWriter {
    private let path: String
    private var archive: OpaquePointer?

    /// `path` is for messages.
    init(descriptor: Int32, path: String) throws {
        self.path = path
        try check { cascade_archive_writer_open(descriptor, &archive, $0, $1) }
    }

    deinit { cascade_archive_writer_close(archive) }

    /// Adds a member; `name` must fit ustar: 155 bytes of folders, 100 of file name.
    func add(_ name: String, _ bytes: [UInt8]) throws {
        try check { cascade_archive_writer_add(archive, name, bytes, bytes.count, $0, $1) }
    }

    func finish() throws {
        try check { cascade_archive_writer_finish(archive, $0, $1) }
    }

    private func check(_ call: (UnsafeMutablePointer<CChar>, Int) -> CascadeArchiveStatus) throws {
        let (status, message) = withErrorMessage(call)
        if status != CASCADE_ARCHIVE_OK { throw Failure.run("can't write the tar", at: .init(path), got: message) }
    }
}
