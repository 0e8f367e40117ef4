/// A place where samples lie together, read from its beginning to its end.
public struct Shard: Hashable, Sendable {
    /// The path of a tar.
    let path: String

    public init(path: String) { self.path = path }

    /// What it is called in messages and in the keys of its samples.
    public var name: String { path }
}
