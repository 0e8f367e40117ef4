/// One sample of a WebDataset: the members of a tar that share a key.
public struct Sample: Equatable, Sendable {
    /// The members' common path, up to the first dot of the file name.
    public var key: String
    /// The path of the tar it came from.
    public var shard: String
    /// Contents by what follows that dot, in lower case: `jpg`, `txt`, `seg.png`.
    public var members: [String: [UInt8]]

    /// - Parameters:
    ///   - key: the members' common path, up to the first dot of the file name.
    ///   - shard: the path of the tar.
    ///   - members: contents by ending, in lower case.
    public init(key: String, shard: String, members: [String: [UInt8]]) {
        self.key = key
        self.shard = shard
        self.members = members
    }

    /// The endings of images, in the order in which they are looked for.
    public static let imageEndings = ["jpg", "png", "jpeg", "webp", "jfif", "jpe", "bmp"]

    /// Those of images in formats that are not read.
    static let unreadEndings = [
        "gif", "tif", "tiff", "avif", "heic", "heif", "jxl", "jp2", "j2k", "psd", "tga", "ico", "svg",
    ]

    /// The encoded image: the first there is of `imageEndings`.
    public var image: [UInt8]? {
        Sample.imageEndings.lazy.compactMap { members[$0] }.first
    }

    /// Why there is no image to read, as it is counted.
    public var absence: String {
        Sample.unreadEndings.first { members[$0] != nil }.map(Self.unread) ?? "no image"
    }

    /// What is said of an image of one of the `unreadEndings`.
    static func unread(_ ending: String) -> String { "image in a format that is not read: .\(ending)" }

    /// The raw `json`.
    public var json: [UInt8]? { members["json"] }

    /// Where the sample lies, for messages: `SHARD/KEY`.
    public var place: String { "\(shard)/\(key)" }
}
