/// One sample of a WebDataset: the members of a tar that share a key.
public struct Sample: Equatable, Sendable {
    /// The members' common path, up to the first dot of the file name.
    public var key: String
    /// The path of the tar it came from.
    public var shard: String
    /// Contents by what follows that dot, in lower case: `jpg`, `txt`, `seg.png`.
    public var members: [String: [UInt8]]

    public init(key: String, shard: String, members: [String: [UInt8]]) {
        self.key = key
        self.shard = shard
        self.members = members
    }

    /// The endings of pictures, in the order in which they are looked for.
    public static let pictureEndings = ["jpg", "png", "jpeg", "webp"]

    /// The encoded picture: the first there is of `pictureEndings`.
    public var picture: [UInt8]? {
        Sample.pictureEndings.lazy.compactMap { members[$0] }.first
    }

    /// The raw `json`.
    public var json: [UInt8]? { members["json"] }

    /// Where the sample lies, for messages: `SHARD/KEY`.
    public var place: String { "\(shard)/\(key)" }
}
