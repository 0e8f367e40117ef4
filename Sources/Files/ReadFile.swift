import Failures
import Glibc

/// A whole file. More than `limit` bytes are a failure, found before they are kept.
public func readFile(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw SystemError.current.failure("can't read the file", path: path) }
    defer { _ = close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
        throw SystemError.current.failure("can't read the file", path: path)
    }
    let tooLarge = Failure.input("the file is too large", at: .init(path), expected: "at most \(limit) bytes")
    if Int(status.st_size) > limit { throw tooLarge }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(status.st_size))
    // Read to the end, whatever the size said: a pipe tells none, and a file may grow meanwhile.
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 18) { chunk in
        while true {
            let got = read(descriptor, chunk.baseAddress, chunk.count)
            if got < 0, errno == EINTR { continue }
            if got < 0 { throw SystemError.current.failure("can't read the file", path: path) }
            if got == 0 { return }
            bytes.append(contentsOf: chunk[..<got])
            if bytes.count > limit { throw tooLarge }
        }
    }
    return bytes
}

/// Whether there is a file, not a folder, at a path.
public func fileExists(_ path: String) -> Bool {
    var facts = stat()
    return stat(path, &facts) == 0 && facts.st_mode & S_IFMT != S_IFDIR
}
