import Glibc

/// Results of work kept in a folder by key, which can be thrown away at any time.
///
/// Each entry is a file that begins with the digest of what follows: one that is torn by a crash or damaged later is as
/// good as absent. Several processes may share a folder. A key is the caller's: it must hold all that the result
/// depends on.
public struct CacheFolder: Sendable {
    /// The folder in which entries lie by the first two digits of their keys.
    public let path: String

    /// Makes the folder where it is not there.
    public init(_ path: String) throws {
        try Folder.make(path)
        self.path = path
    }

    /// The digest's length in bytes.
    private static let digestSize = 32

    /// Entries lie in 256 folders, so that none grows too long for the tools that list it.
    /// - Parameter key: hexadecimal digits, at least three.
    private func folder(of key: String) -> String { "\(path)/\(key.prefix(2))" }

    /// An entry's content; nil where there is none that is whole.
    public func read(_ key: String) -> [UInt8]? {
        guard let file = try? readFile("\(folder(of: key))/\(key)"), file.count >= Self.digestSize else { return nil }
        let content = Array(file.dropFirst(Self.digestSize))
        return SHA256.bytes(of: content) == Array(file.prefix(Self.digestSize)) ? content : nil
    }

    /// Puts an entry in place. It is not synced: what a power cut tears is found out by its digest.
    public func write(_ key: String, _ content: [UInt8]) throws {
        precondition(key.count > 2 && key.allSatisfy(\.isHexDigit), "a key is made of hexadecimal digits")
        try Folder.make(folder(of: key))
        // A folder of thousands of entries is not listed for each.
        let file = try AtomicFile(at: "\(folder(of: key))/\(key)", removingStale: false)
        try file.write(SHA256.bytes(of: content))
        try file.write(content)
        try file.commitUnsynced()
    }
}
