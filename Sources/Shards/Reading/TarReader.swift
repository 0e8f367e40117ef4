import CArchive
import Failures
import Files
import Glibc

/// The regular files of one tar, one after the other; gzip, bzip2, xz and zstd are unpacked on the way.
final class TarReader: ShardMembers {
    /// A member that declares more is no image: to pass over it, all of it would have to be unpacked.
    private static let mostDeclared: Int64 = 16 << 30
    /// What may follow a tar's end and is read, so that its source can tell how it ended.
    private static let mostPadding = 1 << 20

    private let descriptor: Int32?
    private let stream: Stream?
    private var archive: OpaquePointer?

    init(path: String) throws {
        let opened = open(path, O_RDONLY | O_CLOEXEC)
        if opened < 0 { throw SystemError.current.failure("can't read the shard", path: path) }
        descriptor = opened
        stream = nil
        // A file's first bytes; a pipe has none that could be read twice.
        let start = withUnsafeTemporaryAllocation(byteCount: MistakenContent.prefixLength, alignment: 1) { piece in
            Array(piece.prefix(max(0, pread(opened, piece.baseAddress, piece.count, 0))))
        }
        if let mistaken = NotAShard(start) { throw mistaken }
        let (status, message) = withErrorMessage { cascade_archive_reader_open(opened, &archive, $0, $1) }
        // An initialiser that throws this late still runs `deinit`, which closes the descriptor.
        if status != CASCADE_ARCHIVE_OK { throw Self.noTar(path, message) }
    }

    /// `name` is for messages.
    init(_ source: any ByteSource, name: String) throws {
        descriptor = nil
        let stream = Stream(source)
        self.stream = stream
        let (status, message) = withErrorMessage {
            cascade_archive_reader_open_source(
                { Stream.next($0, $1) }, Unmanaged.passUnretained(stream).toOpaque(), &archive, $0, $1)
        }
        if let failure = stream.failure { throw failure }
        if stream.isGivenUp { throw CancellationError() }
        if let mistaken = NotAShard(stream.start) { throw mistaken }
        if status != CASCADE_ARCHIVE_OK { throw Self.noTar(name, message) }
    }

    private static func noTar(_ name: String, _ message: String) -> Failure {
        .input("can't read the shard", at: .init(name), expected: "a tar file", got: message)
    }

    deinit {
        cascade_archive_reader_close(archive)
        if let descriptor { _ = close(descriptor) }
    }

    var failure: Failure? { stream?.failure }
    var isGivenUp: Bool { stream?.isGivenUp ?? false }

    func next() -> ShardStep {
        var name: UnsafePointer<CChar>?
        var size: Int64 = 0
        let (status, message) = withErrorMessage { cascade_archive_reader_next(archive, &name, &size, $0, $1) }
        switch status {
        case CASCADE_ARCHIVE_OK:
            if size > Self.mostDeclared { return .broken("a member of \(size) bytes") }
            return name.map { .member(String(memberName: $0)) } ?? .damage("no name")
        case CASCADE_ARCHIVE_END:
            stream?.drain(atMost: Self.mostPadding)
            return failure.map { .broken("\($0)") } ?? (isGivenUp ? .broken("given up") : .end)
        case CASCADE_ARCHIVE_DAMAGED: return .damage(message)
        default: return .broken(message)
        }
    }

    /// Memory grows with what is really there, never with the size a header declares.
    func content(limit: Int) -> MemberContent {
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

/// Something else in the place of a shard, that has a name.
struct NotAShard: Error {
    let content: MistakenContent

    /// Nil for what may be a tar: packed ones are taken too, and a tar says so behind its first name.
    init?(_ start: [UInt8]) {
        guard !start.dropFirst(257).starts(with: Array("ustar".utf8)), let content = MistakenContent(start),
            content != .gzip
        else { return nil }
        self.content = content
    }
}

/// A source as libarchive pulls from it.
private final class Stream {
    private let source: any ByteSource
    private let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
    /// The first bytes, as many as tell what they are no tar of.
    private(set) var start: [UInt8] = []
    /// What ended the source early.
    private(set) var failure: Failure?
    private(set) var isGivenUp = false

    init(_ source: any ByteSource) { self.source = source }

    deinit { piece.deallocate() }

    static func next(_ context: UnsafeMutableRawPointer?, _ bytes: UnsafeMutablePointer<UnsafeRawPointer?>?) -> Int {
        guard let context else { return -1 }
        let stream = Unmanaged<Stream>.fromOpaque(context).takeUnretainedValue()
        bytes?.pointee = UnsafeRawPointer(stream.piece.baseAddress)
        return stream.read() ?? -1
    }

    func drain(atMost limit: Int) {
        var left = limit
        while left > 0, let count = read(), count > 0 { left -= count }
    }

    private func read() -> Int? {
        if failure != nil || isGivenUp { return nil }
        do {
            let count = try source.read(into: piece)
            let missing = MistakenContent.prefixLength - start.count
            if missing > 0 { start += piece.prefix(min(count, missing)) }
            return count
        } catch let found as Failure {
            failure = found
        } catch {
            isGivenUp = true
        }
        return nil
    }
}
