import Failures

/// The samples of shards in the order in which they lie there.
///
/// Members are grouped as webdataset groups them: consecutive members with one key make a sample, and of two members
/// with one name the first counts. What is broken costs itself and is counted in ``drops``: a damaged member its
/// content, a damaged shard the rest of it.
public final class ShardReader {
    /// The most bytes that the members of one sample may have together.
    public static let sampleLimit = 256 << 20

    public private(set) var drops = Drops()
    private var shards: ArraySlice<Shard>
    private var shard: Shard?
    private var tar: TarReader?
    private var pending: Sample?
    private var pendingSize = 0
    private var isInDamage = false

    public init(shards: [Shard]) { self.shards = shards[...] }

    /// The next sample, nil after the last.
    public func next() -> Sample? {
        while true {
            guard let tar = tar ?? openNext() else { return nil }
            switch tar.next() {
            case .member(let name):
                isInDamage = false
                if let finished = take(name, from: tar) { return finished }
            case .damage:
                // One damaged stretch may be met in many steps; it is one stretch.
                if !isInDamage { drops.addBroken("shard is damaged") }
                isInDamage = true
            case .broken:
                drops.addBroken("shard is cut off or damaged")
                if let last = finishShard() { return last }
            case .end:
                if let last = finishShard() { return last }
            }
        }
    }

    /// Opens the next shard that can be opened; nil when there is none left.
    private func openNext() -> TarReader? {
        while let next = shards.popFirst() {
            do {
                let opened = try TarReader(path: next.path)
                tar = opened
                shard = next
                isInDamage = false
                return opened
            } catch {
                drops.addBroken("shard can't be opened")
            }
        }
        return nil
    }

    /// Reads a member into the sample it belongs to; gives back the sample before, if the member begins another.
    private func take(_ name: String, from tar: TarReader) -> Sample? {
        guard let member = MemberName(name) else { return nil }
        var finished: Sample?
        if let current = pending, !MemberName.isSame(current.key, member.key) { finished = finish() }
        if pending == nil { pending = Sample(key: member.key, shard: shard?.name ?? "", members: [:]) }
        if pending?.members[member.ending] != nil {
            drops.addBroken("member has the name of another")
            return finished
        }
        switch tar.content(limit: ShardReader.sampleLimit - pendingSize) {
        case .whole(let bytes):
            pendingSize += bytes.count
            pending?.members[member.ending] = bytes
        case .tooLarge:
            drops.addBroken("sample is larger than \(ShardReader.sampleLimit >> 20) MiB")
        case .damage, .broken:
            drops.addBroken("member is cut off or damaged")
        }
        return finished
    }

    private func finishShard() -> Sample? {
        tar = nil
        return finish()
    }

    /// The pending sample, unless nothing of it could be read.
    private func finish() -> Sample? {
        defer {
            pending = nil
            pendingSize = 0
        }
        return pending.flatMap { $0.members.isEmpty ? nil : $0 }
    }
}
