import Files
import Glibc
import Testing

@testable import Shards

/// Shards without an environment.
func resolveShards(_ specifications: [String]) throws -> [Shard] {
    try resolveShards(specifications, access: ShardAccess())
}

extension ShardReader {
    convenience init(files: [String]) { self.init(shards: files.map(Shard.init(path:))) }
}

extension SampleStream {
    convenience init(
        files: [String], options: Options, at position: StreamPosition = StreamPosition(), again: [SampleTurn] = []
    ) throws {
        try self.init(shards: files.map(Shard.init(path:)), options: options, at: position, again: again)
    }
}

/// A folder that goes when the test does.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/cascade-adapt-shards-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { TemporaryFolder.removeAll(path) }

    /// Links are removed, not followed.
    private static func removeAll(_ path: String) {
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            for name in (try? Folder.names(path)) ?? [] { removeAll("\(path)/\(name)") }
        }
        remove(path)
    }

    /// Writes a file, and the folders above it, and gives back its path.
    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        if let slash = name.lastIndex(of: "/") { try Folder.make("\(path)/\(name[..<slash])") }
        try writeAtomically(bytes, to: file)
        return file
    }

    /// Writes a tar of these members.
    @discardableResult
    func tar(_ name: String, _ members: [(name: String, bytes: [UInt8])]) throws -> String {
        let place = "\(path)/\(name)"
        let file = try AtomicFile(at: place)
        let tar = try TarWriter(descriptor: file.descriptor, path: place)
        for member in members { try tar.add(member.name, member.bytes) }
        try tar.finish()
        try file.commit()
        return place
    }

    /// Writes a tar of samples with an image and a caption each, keys `NAME-0` and so on.
    @discardableResult
    func samples(_ name: String, count: Int) throws -> String {
        try tar(
            "\(name).tar",
            (0..<count).flatMap { number in
                [
                    (name: "\(name)-\(number).jpg", bytes: [UInt8](repeating: UInt8(number % 256), count: 700)),
                    (name: "\(name)-\(number).txt", bytes: Array("caption \(number)".utf8)),
                ]
            })
    }
}

/// All that a reader gives.
func samples(of reader: ShardReader) -> [Sample] {
    var samples: [Sample] = []
    while let sample = reader.next() { samples.append(sample) }
    return samples
}
