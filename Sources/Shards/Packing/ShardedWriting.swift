import Failures
import Files
import Glibc

/// A shard that was written.
public struct WrittenShard: Equatable, Sendable {
    /// Where the tar lies.
    public let path: String
    /// How many samples the tar holds.
    public let samples: Int
    /// The file's size.
    public let bytes: Int
}

/// How much one shard may hold; no limits make one shard of everything.
public struct ShardLimits: Equatable, Sendable {
    /// The most bytes of a tar; a single sample larger than that makes a larger shard.
    public var bytes: Int?
    /// The most samples.
    public var samples: Int?

    /// - Parameters:
    ///   - bytes: the most of a tar; nil for no limit.
    ///   - samples: the most of a tar; nil for no limit.
    public init(bytes: Int? = nil, samples: Int? = nil) {
        self.bytes = bytes
        self.samples = samples
    }

    /// Whether shards are numbered: as soon as there is a limit, whatever it comes to.
    public var areNumbered: Bool { bytes != nil || samples != nil }
}

/// Writes samples into one tar, or into numbered tars of limited size: `OUT.tar` becomes `OUT-000000.tar` and so on, as
/// webdataset's ShardWriter numbers them.
///
/// Numbered shards come into being in a folder beside their place and are moved there together; a shard of that name
/// which stands there already is refused before anything is written, for a set must not be mixed from two.
/// What was not finished leaves no trace.
final class ShardedWriter {
    private let path: String
    private let limits: ShardLimits
    /// Where numbered shards wait.
    private let waiting: AtomicFolder?
    private var open: OpenShard?
    private var finished: [WrittenShard] = []

    init(at path: String, limits: ShardLimits) throws {
        self.path = path
        self.limits = limits
        guard limits.areNumbered else {
            waiting = nil
            open = try OpenShard(at: path)
            return
        }
        try ShardName(path).refuseExisting()
        waiting = try AtomicFolder(for: path)
    }

    deinit {
        // Its temporary file lies in the folder, which goes after it.
        open = nil
    }

    /// Adds a sample's members to the shard that has room for them.
    func add(_ members: [(name: String, bytes: [UInt8])]) throws {
        let size = members.reduce(0) { $0 + TarSize.member($1.bytes.count) }
        if let present = open, present.samples > 0,
            limits.samples.map({ present.samples >= $0 }) ?? false
                || limits.bytes.map({ TarSize.file(present.size + size) > $0 }) ?? false
        {
            try finishShard()
        }
        let shard = try open ?? OpenShard(at: waitingPath(finished.count))
        open = shard
        for member in members { try shard.tar.add(member.name, member.bytes) }
        shard.samples += 1
        shard.size += size
    }

    /// Puts everything in its place.
    func finish() throws -> [WrittenShard] {
        try finishShard()
        guard waiting != nil else { return finished }
        let name = ShardName(path)
        var moved: [WrittenShard] = []
        for (number, shard) in finished.enumerated() {
            let target = name.path(number)
            guard rename(shard.path, target) == 0 else {
                let error = SystemError.current
                for shard in moved { _ = unlink(shard.path) }
                throw error.failure("can't put the shard in its place", path: target)
            }
            moved.append(WrittenShard(path: target, samples: shard.samples, bytes: shard.bytes))
        }
        syncFolder(of: path)
        return moved
    }

    private func finishShard() throws {
        guard let shard = open else { return }
        open = nil
        // Counted before it is there, so that an interruption finds it.
        waiting?.count = finished.count + 1
        finished.append(try shard.finish())
    }

    private func waitingPath(_ number: Int) -> String {
        waiting?.path(number) ?? path
    }
}

/// The tar that samples go into.
private final class OpenShard {
    let tar: TarWriter
    var samples = 0
    /// Bytes of the members with their headers.
    var size = 0
    private let path: String
    private var file: AtomicFile?

    init(at path: String) throws {
        self.path = path
        let opened = try AtomicFile(at: path)
        tar = try TarWriter(descriptor: opened.descriptor, path: path)
        file = consume opened
    }

    func finish() throws -> WrittenShard {
        try tar.finish()
        guard let written = file.take() else { throw Failure.run("the shard is finished already", at: .init(path)) }
        var status = stat()
        let bytes = fstat(written.descriptor, &status) == 0 ? Int(status.st_size) : 0
        try written.commit()
        return WrittenShard(path: path, samples: samples, bytes: bytes)
    }
}

/// How large a tar becomes (POSIX ustar).
private enum TarSize {
    /// A header, and the content in whole blocks of 512 bytes.
    static func member(_ bytes: Int) -> Int { 512 + (bytes + 511) / 512 * 512 }

    /// Two empty blocks at the end, and records of 20 blocks.
    static func file(_ members: Int) -> Int { (members + 1024 + 10239) / 10240 * 10240 }
}

/// `OUT.tar` as the name of numbered shards.
struct ShardName {
    private let folder: String
    private let stem: String
    private let ending: String

    init(_ path: String) {
        let nameStart = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
        let name = path[nameStart...]
        let isTar = name.hasSuffix(".tar") && name.utf8.count > 4
        folder = String(path[..<nameStart])
        stem = String(isTar ? name.dropLast(4) : name) + "-"
        ending = isTar ? ".tar" : ""
    }

    /// The path of a shard, its number in six digits.
    func path(_ number: Int) -> String { folder + stem + Self.digits(number) + ending }

    /// All shards up to a number as a brace range.
    func range(_ count: Int) -> String {
        "\(folder)\(stem){\(Self.digits(0))..\(Self.digits(count - 1))}\(ending)"
    }

    /// - Throws: a failure of the input where a shard of this name is there.
    func refuseExisting() throws {
        let names = try Folder.names(folder.isEmpty ? "." : folder)
        let taken = names.first { name in
            guard name.hasPrefix(stem), name.hasSuffix(ending) else { return false }
            let number = name.dropFirst(stem.count).dropLast(ending.count)
            return number.utf8.count >= 6 && number.utf8.allSatisfy { (0x30...0x39).contains($0) }
        }
        guard let taken else { return }
        throw Failure.input(
            "a shard of this name is there already", at: .init(folder + taken),
            advice: "remove the old shards or give the new ones another name, so that they don't get mixed")
    }

    private static func digits(_ number: Int) -> String { zeroPadded(number, digits: 6) }
}
