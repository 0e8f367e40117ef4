import Glibc

/// A large file of known size, written from its beginning to its end, beside its place and renamed over it as
/// ``AtomicFile`` is.
///
/// Large pieces of memory go to the disk past the page cache where the file system allows it (`O_DIRECT`): copying
/// one mapped file into another then moves no byte through the processor.
public struct StreamedFile: ~Copyable {
    private let file: AtomicFile
    /// Small pieces, and those at unsuitable addresses, are gathered here.
    private let gathered: AlignedMemory
    private var gatheredCount = 0
    private var isDirect: Bool

    /// What addresses, positions and lengths are multiples of when the page cache is passed by.
    public static let alignment = 4096
    /// Shorter pieces are gathered: each write past the cache waits for the disk.
    private static let worthwhile = 1 << 18
    private static let capacity = 1 << 22
    private static let longest = 1 << 26

    #if arch(arm64)
        private static let directFlag: Int32 = 0o200000
    #else
        private static let directFlag: Int32 = 0o40000
    #endif

    /// Opens the temporary file beside `path` and reserves its space.
    /// - Parameter size: in bytes, as many as will be written.
    /// - Throws: a failure of the run where the disk has not so much room.
    public init(at path: String, size: Int) throws {
        let file = try AtomicFile(at: path)
        try Self.reserve(size, of: file.descriptor, path: path)
        let flags = fcntl(file.descriptor, F_GETFL)
        isDirect = flags >= 0 && fcntl(file.descriptor, F_SETFL, flags | Self.directFlag) == 0
        gathered = AlignedMemory(byteCount: Self.capacity, alignment: Self.alignment)
        self.file = file
    }

    /// Reserved space keeps the file in one piece, and tells a full disk before any work is done.
    private static func reserve(_ size: Int, of descriptor: Int32, path: String) throws {
        guard size > 0 else { return }
        let error = posix_fallocate(descriptor, 0, size)
        // Devices and some file systems reserve nothing: writing will tell.
        if [ENOSPC, EDQUOT, EFBIG].contains(error) {
            throw SystemError(code: error).failure("can't write \(size) bytes", path: path)
        }
    }

    /// Appends bytes.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let missing = (Self.alignment - gatheredCount % Self.alignment) % Self.alignment
            let isSuitable = (Int(bitPattern: piece.baseAddress) + missing) % Self.alignment == 0
            guard piece.count - missing >= Self.worthwhile, isSuitable || !isDirect else {
                rest = rest.dropFirst(try gather(piece, atMost: piece.count))
                continue
            }
            if missing > 0 { rest = rest.dropFirst(try gather(piece, atMost: missing)) }
            try flush()
            let whole = rest.count / Self.alignment * Self.alignment
            try put(UnsafeRawBufferPointer(rebasing: rest.prefix(whole)))
            rest = rest.dropFirst(whole)
        }
    }

    /// Appends bytes.
    public mutating func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Syncs the file and puts it in its place. The last thing done to it.
    public consuming func commit() throws {
        // What is left is no whole block.
        stopPassingTheCache()
        try flush()
        try file.commit()
    }

    /// Copies what fits behind what is gathered; what is full is written.
    /// - Returns: how many bytes that were.
    private mutating func gather(_ bytes: UnsafeRawBufferPointer, atMost limit: Int) throws -> Int {
        let count = min(limit, bytes.count, Self.capacity - gatheredCount)
        UnsafeMutableRawBufferPointer(rebasing: gathered.bytes[gatheredCount..<gatheredCount + count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
        gatheredCount += count
        if gatheredCount == Self.capacity { try flush() }
        return count
    }

    private mutating func flush() throws {
        try put(UnsafeRawBufferPointer(rebasing: gathered.bytes[..<gatheredCount]))
        gatheredCount = 0
    }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.longest))
            let written = Glibc.write(file.descriptor, piece.baseAddress, piece.count)
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EINVAL, isDirect {
                // A file system that takes the flag and not the write, or one with larger blocks.
                stopPassingTheCache()
            } else if errno != EINTR {
                throw SystemError.current.failure("can't write the file", path: file.path)
            }
        }
    }

    private mutating func stopPassingTheCache() {
        guard isDirect else { return }
        isDirect = false
        let flags = fcntl(file.descriptor, F_GETFL)
        if flags >= 0 { _ = fcntl(file.descriptor, F_SETFL, flags & ~Self.directFlag) }
    }
}

/// Memory at a multiple of some address.
private final class AlignedMemory {
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int, alignment: Int) { bytes = .allocate(byteCount: byteCount, alignment: alignment) }

    deinit { bytes.deallocate() }
}
