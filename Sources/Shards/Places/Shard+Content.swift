import Files
import Glibc

extension Shard {
    /// What tells its content from another's under the same name: samples of a tar's bytes, the sizes of a folder's files.
    /// Nil of what lies elsewhere or comes from a command, and of what cannot be read.
    public var contentSample: String? {
        switch place {
        case .file(let path): return try? Files.contentSample(path, pieces: 8)
        case .images(let slice):
            var digest = SHA256()
            for file in slice.entries.flatMap(\.files) {
                var status = stat()
                let size = stat(file.path, &status) == 0 ? Int(status.st_size) : -1
                Array("\(file.path.dropFirst(slice.folder.count)) \(size)\0".utf8)
                    .withUnsafeBytes { digest.update($0) }
            }
            return String(digest.finish().prefix(16))
        case .web, .object, .command: return nil
        }
    }
}
