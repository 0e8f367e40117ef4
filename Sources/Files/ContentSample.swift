import Glibc

/// What tells a file's content from another's without reading all of it: its size in bytes, and the first 16 digits of
/// the SHA-256 over its first 64 KiB and over `pieces` of 4 KiB that are spread evenly to its end. A file of at most
/// 1 MiB is read whole.
public func contentSample(_ path: String, pieces: Int = 64) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemError.current.failure("can't read the file", path: path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
        throw SystemError.current.failure("can't read the file", path: path)
    }
    let size = Int(status.st_size)
    let (head, piece) = (64 << 10, 4 << 10)
    var ranges = [0..<min(size, size <= 1 << 20 ? size : head)]
    if size > 1 << 20 {
        ranges += (1...max(1, pieces)).map { index in
            let start = head + (size - head - piece) * index / max(1, pieces)
            return start..<start + piece
        }
    }
    var digest = SHA256()
    for range in ranges where !range.isEmpty {
        try withUnsafeTemporaryAllocation(byteCount: range.count, alignment: 16) { buffer in
            var filled = 0
            while filled < range.count {
                let got = pread(
                    descriptor, buffer.baseAddress?.advanced(by: filled), range.count - filled,
                    off_t(range.lowerBound + filled))
                if got < 0 && errno == EINTR { continue }
                guard got >= 0 else { throw SystemError.current.failure("can't read the file", path: path) }
                if got == 0 { break }
                filled += got
            }
            digest.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<filled]))
        }
    }
    return "\(size):\(digest.finish().prefix(16))"
}
