import Files
import Synchronization

/// The part of `cache_dir` that holds one kind of results, during a run.
///
/// A disk that is full costs the run time and nothing else: it is told once, and the results are made anew.
public final class EncodingCache: Sendable {
    /// Where the results are kept, by key.
    public let folder: CacheFolder
    /// What the results depend on beside what each key is made of: the networks' weights, how images are read.
    public let salt: String
    private let warn: @Sendable (String) -> Void
    private let counts = Mutex((made: 0, isFull: false))

    /// Makes the folder where it is not there.
    /// - Parameters:
    ///   - path: of the folder.
    ///   - salt: what the results depend on beside their keys.
    ///   - warn: is told once when nothing more can be written.
    public init(_ path: String, salt: String, warn: @escaping @Sendable (String) -> Void) throws {
        folder = try CacheFolder(path)
        self.salt = salt
        self.warn = warn
    }

    /// How many results were made because none was there.
    public var made: Int { counts.withLock { $0.made } }

    /// Counts a result that was just made and writes it; after the first failure nothing more is written.
    public func keep(_ key: String, _ content: [UInt8]) {
        let isFull = counts.withLock {
            $0.made += 1
            return $0.isFull
        }
        if isFull { return }
        do {
            try folder.write(key, content)
        } catch {
            let isFirst = counts.withLock { counts in
                defer { counts.isFull = true }
                return !counts.isFull
            }
            if isFirst { warn("nothing more is cached: \(error)") }
        }
    }
}
