import Failures
import Files

/// Some pictures of a folder with their texts, which take a shard's part without being packed.
struct PictureSlice: Hashable, Sendable {
    /// How many pictures make a shard: few enough that a shuffle of shards mixes a folder, enough that shards are few.
    static let size = 64

    struct Entry: Hashable, Sendable {
        /// What `packDataset` would call the sample.
        var key: String
        /// The files, picture first; none where their name is no text.
        var files: [PictureFolder.File]
    }

    let folder: String
    /// Where the first stands among all pictures of the folder.
    let start: Int
    let entries: [Entry]

    var name: String { "\(folder) (\(start + 1) to \(start + entries.count))" }

    /// Cuts a folder's pictures, in the order of their keys; none where it has none.
    static func slices(of folder: String) throws -> [PictureSlice] {
        let pictures = try PictureFolder(folder)
        let named = keyed(pictures.pairs + pictures.unpaired + pictures.unread).map { key, pair in
            Entry(key: key, files: [pair.picture] + pair.companions)
        }
        let entries = named + (0..<pictures.unnamed).map { _ in Entry(key: "", files: []) }
        return stride(from: 0, to: entries.count, by: size).map { start in
            PictureSlice(
                folder: folder, start: start, entries: Array(entries[start..<min(start + size, entries.count)]))
        }
    }
}

/// Reads a slice as if it were a tar.
final class PictureSliceMembers: ShardMembers {
    /// The path is nil where none leads to the file.
    private var members: ArraySlice<(name: String, path: String?)>
    private var path: String?

    init(_ slice: PictureSlice) {
        members =
            slice.entries.flatMap { entry -> [(name: String, path: String?)] in
                entry.files.isEmpty
                    ? [("", nil)] : entry.files.map { (name: "\(entry.key).\($0.ending)", path: $0.path) }
            }[...]
    }

    var failure: Failure? { nil }

    func next() -> ShardStep {
        guard let member = members.popFirst() else { return .end }
        path = member.path
        if path == nil { return .lost(PictureFolder.unnamed) }
        return .member(member.name)
    }

    func content(limit: Int) -> MemberContent {
        guard let path else { return .damage("no member") }
        do {
            return .whole(try readFile(path, limit: limit))
        } catch let failure as Failure where failure.expected != nil {
            return .tooLarge
        } catch {
            return .damage("\(error)")
        }
    }
}
