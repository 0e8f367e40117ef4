/// A file of a model that is there now.
public struct FetchedFile: Sendable {
    /// What is told of a file that came.
    public struct News: Sendable {
        /// Length of the whole file.
        public let bytes: Int
        /// How many of them an earlier start had brought.
        public var resumedAt = 0
        /// Of the whole file, in hexadecimal.
        public let sha256: String
        /// Whether the SHA-256 was known before, and so checked.
        public let isChecked: Bool
    }

    /// Where the file or folder lies now.
    public let path: String
    /// nil where it was there before.
    public let news: News?

    /// A file, or a folder of several, that was there before.
    public init(here path: String) {
        self.path = path
        news = nil
    }

    init(path: String, news: News) {
        self.path = path
        self.news = news
    }
}

/// What getting a model tells while it goes on.
public enum FetchEvent: Sendable {
    /// A line to keep.
    case note(String)
    /// What is going on at the moment; empty when nothing is any longer.
    case status(String)
    /// How many bytes of a file are there, and of how many.
    case bytes(Int, of: Int, file: String)
    /// A file whose bytes were counted is whole.
    case finished(file: String)
}
