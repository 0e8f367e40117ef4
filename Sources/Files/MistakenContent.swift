import Failures

/// What often lies where weights or shards should: told by a file's first bytes, so that a message can name it.
public enum MistakenContent: Equatable, Sendable {
    /// The few lines that Git keeps in the place of a large file until Git LFS gets it.
    case gitLFSPointer
    /// What a server says to a browser: a sign-in, an error.
    case webPage
    /// An archive that begins with `PK`, also an empty one.
    case zip
    /// A compressed file, such as `.tar.gz`.
    case gzip

    /// How many bytes from the beginning tell.
    public static let prefixLength = 512

    /// Nil where the bytes begin as none of these do.
    public init?(_ bytes: some Sequence<UInt8>) {
        let start = Array(bytes.prefix(Self.prefixLength))
        func begins(_ text: String) -> Bool { start.starts(with: text.utf8) }
        let spaces: [UInt8] = [0x09, 0x0A, 0x0D, 0x20, 0xEF, 0xBB, 0xBF]
        let word = String(decoding: start.drop { spaces.contains($0) }.prefix(14), as: UTF8.self).lowercased()
        if begins("version https://git-lfs.github.com/spec/") {
            self = .gitLFSPointer
        } else if ["<!doctype html", "<html", "<head", "<?xml"].contains(where: word.hasPrefix) {
            self = .webPage
        } else if start.starts(with: [0x50, 0x4B, 3, 4]) || start.starts(with: [0x50, 0x4B, 5, 6]) {
            self = .zip
        } else if start.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else {
            return nil
        }
    }

    /// For people.
    public var description: String {
        switch self {
        case .gitLFSPointer: "a Git LFS pointer, the few lines that stand for a file which was not fetched"
        case .webPage: "an HTML or XML page, as a server sends it to say something"
        case .zip: "a zip archive"
        case .gzip: "a gzip archive"
        }
    }

    /// What to do.
    public var advice: String {
        switch self {
        case .gitLFSPointer: "run `git lfs pull` in its repository, or download the file itself"
        case .webPage: "open it in a browser to read what the server says, and download the file itself"
        case .zip, .gzip: "unpack it, and name what is inside"
        }
    }

    /// The failure of the input where a file has this content.
    /// - Parameters:
    ///   - what: the sentence that the rest explains.
    ///   - expected: what should lie there.
    public func failure(_ what: String, at path: String, expected: String) -> Failure {
        .input(what, at: .init(path), expected: expected, got: description, advice: advice)
    }
}
