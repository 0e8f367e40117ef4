import CSHA256
import Glibc

/// SHA-256 (FIPS 180-4): names the base that an adapter was trained on, checks downloads, keys caches.
public struct SHA256 {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var pending: [UInt8] = []
    private var length: UInt64 = 0

    /// A digest of no bytes as yet.
    public init() {}

    /// Takes bytes in behind those before; how they are cut into calls does not matter.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        length += UInt64(bytes.count)
        var rest = bytes[...]
        if !pending.isEmpty {
            let taken = min(64 - pending.count, rest.count)
            pending.append(contentsOf: rest.prefix(taken))
            rest = rest.dropFirst(taken)
            guard pending.count == 64 else { return }
            cascade_sha256_blocks(&state, pending, 1)
            pending.removeAll(keepingCapacity: true)
        }
        let blocks = rest.count / 64
        UnsafeRawBufferPointer(rebasing: rest).withMemoryRebound(to: UInt8.self) {
            cascade_sha256_blocks(&state, $0.baseAddress, blocks)
        }
        rest = rest.dropFirst(blocks * 64)
        pending.append(contentsOf: rest)
    }

    /// The digest in hexadecimal; the last thing asked of it.
    public consuming func finish() -> String {
        hexadecimal(finishBytes())
    }

    /// The digest's 32 bytes; the last thing asked of it.
    public consuming func finishBytes() -> [UInt8] {
        let bits = length &* 8
        var tail: [UInt8] = [0x80]
        tail += [UInt8](repeating: 0, count: (119 - pending.count) % 64)
        tail += (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }
        tail.withUnsafeBytes { update($0) }
        return state.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    }

    /// The digest of bytes.
    public static func bytes(of content: [UInt8]) -> [UInt8] {
        var digest = SHA256()
        content.withUnsafeBytes { digest.update($0) }
        return digest.finishBytes()
    }

    /// The digest of bytes, in hexadecimal.
    public static func hex(of content: [UInt8]) -> String { hexadecimal(bytes(of: content)) }

    /// The digest of a file's content.
    public static func hex(ofFile path: String) throws -> String { try hex(ofFiles: [path]) }

    /// The digest of the contents of files, one behind another.
    public static func hex(ofFiles paths: [String]) throws -> String {
        var digest = SHA256()
        for path in paths { try digest.update(file: path) }
        return digest.finish()
    }

    private mutating func update(file path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError.current.failure("can't read the file", path: path) }
        defer { close(descriptor) }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { piece.deallocate() }
        while true {
            let count = read(descriptor, piece.baseAddress, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw SystemError.current.failure("can't read the file", path: path) }
            if count == 0 { return }
            update(UnsafeRawBufferPointer(rebasing: piece[..<count]))
        }
    }
}

/// Bytes as two digits each.
public func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
