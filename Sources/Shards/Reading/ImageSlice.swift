import Failures
import Files

/// Some images of a folder with their texts, which take a shard's part without being packed.
struct ImageSlice: Hashable, Sendable {
    /// How many images make a shard: few enough that a shuffle of shards mixes a folder, enough that shards are few.
    static let size = 64

    struct Entry: Hashable, Sendable {
        /// What `packDataset` would call the sample.
        var key: String
        /// The files, image first; none where their name is no text.
        var files: [ImageFolder.File]
    }

    let folder: String
    /// Where the first stands among all images of the folder.
    let start: Int
    let entries: [Entry]

    var name: String { "\(folder) (\(start + 1) to \(start + entries.count))" }

    /// Cuts a folder's images, in the order of their keys; none where it has none.
    static func slices(of folder: String) throws -> [ImageSlice] {
        let images = try ImageFolder(folder)
        let named = keyed(images.pairs + images.unpaired + images.unread).map { key, pair in
            Entry(key: key, files: [pair.image] + pair.companions)
        }
        let entries = named + (0..<images.unnamed).map { _ in Entry(key: "", files: []) }
        return stride(from: 0, to: entries.count, by: size).map { start in
            ImageSlice(
                folder: folder, start: start, entries: Array(entries[start..<min(start + size, entries.count)]))
        }
    }
}

/// Reads a slice as if it were a tar.
final class ImageSliceMembers: ShardMembers {
    /// The path is nil where none leads to the file.
    private var members: ArraySlice<(name: String, path: String?)>
    private var path: String?

    init(_ slice: ImageSlice) {
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
        if path == nil { return .lost(ImageFolder.unnamed) }
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
