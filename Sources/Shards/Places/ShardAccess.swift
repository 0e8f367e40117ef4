import Failures
import Web

/// How shards that lie elsewhere are reached: what a command hands down once, read from its environment.
public struct ShardAccess: Sendable {
    /// How long to wait and how often to try; its notes also tell of shards that could not be read.
    public var client: WebClient
    /// Where remote shards are kept whole, to be read from there; nil keeps nothing.
    public var cacheFolder: String?
    /// How many bytes of them are kept.
    public var cacheBytes = Int.max
    /// An environment variable, for S3's credentials, region and endpoint.
    public var variable: @Sendable (String) -> String?
    /// Whether lists of shards may name commands: what lies in a file that came with the data is not to run by itself.
    public var takesListedCommands = false
    /// Bytes that are read ahead of a remote shard's reader.
    public var readAhead = 8 << 20

    /// - Parameters:
    ///   - client: how long to wait and how often to try.
    ///   - cacheFolder: where remote shards are kept; nil keeps nothing.
    ///   - variable: an environment variable; by default none is set.
    public init(
        client: WebClient = WebClient(), cacheFolder: String? = nil,
        variable: @escaping @Sendable (String) -> String? = { _ in nil }
    ) {
        self.client = client
        self.cacheFolder = cacheFolder
        self.variable = variable
    }
}

/// The access as shards carry it: set up once, shared by all of them.
final class ShardReach: Sendable {
    private let access: ShardAccess
    private let s3: S3Service?
    private let cache: ShardCache?

    /// - Parameter usesS3: whether credentials are needed.
    init(_ access: ShardAccess, usesS3: Bool) throws {
        self.access = access
        s3 = usesS3 ? S3Service(try S3Configuration(variable: access.variable)) : nil
        cache = access.cacheFolder.map { ShardCache(folder: $0, limit: access.cacheBytes) }
    }

    func note(_ line: String) { access.client.note(line) }

    /// The keys in S3 that begin as a place does.
    func keys(from place: S3Object) throws -> [String] { try service().keys(from: place, client: access.client) }

    private func service() throws -> S3Service {
        guard let s3 else { preconditionFailure("a place in S3 is reached with S3 set up") }
        return s3
    }

    /// The request of a shard on the web or in S3; nil for what is reached otherwise.
    private func request(_ place: Shard.Place) throws -> WebRequest? {
        switch place {
        case .web(let address): WebRequest(address)
        case .object(let object): try service().request(object)
        case .file, .images, .command: nil
        }
    }

    /// Asks for a shard's first byte.
    /// - Throws: the server's refusal.
    func check(_ shard: Shard) throws {
        guard var request = try request(shard.place), cache?.holds(request) != true else { return }
        (request.firstByte, request.lastByte) = (0, 0)
        let response = try access.client.open(request)
        // No byte of an empty file can be had.
        guard [200, 206, 416].contains(response.status) else { throw request.failure(of: response) }
    }

    /// The bytes of a remote shard, read ahead.
    func bytes(of shard: Shard) throws -> ReadAhead {
        try ReadAhead(bytes: access.readAhead) { [self] isCancelled in
            var client = access.client
            client.isCancelled = { [access] in isCancelled() || access.client.isCancelled() }
            if case .command(let command) = shard.place {
                return try CommandBytes(command, name: shard.name, isCancelled: client.isCancelled)
            }
            guard let request = try request(shard.place) else { preconditionFailure("only remote shards are reached") }
            if let cache {
                do {
                    return try FileBytes(cache.file(for: request, name: shard.name, client: client))
                } catch let failure as Failure where !failure.mayPass {
                    note("\(shard.name) is not kept in \(cache.folder): \(failure)")
                }
            }
            return try WebBytes(request, client: client, name: shard.name)
        }
    }
}
