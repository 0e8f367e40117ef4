import Failures

/// The samples of shards in the order in which they lie there.
///
/// Members are grouped as webdataset groups them: consecutive members with one key make a sample, and of two members
/// with one name the first counts. What is broken costs itself and is counted in ``drops``: a damaged member its
/// content, a damaged shard the rest of it. A network that fails for longer than the shards' client puts up with tells
/// nothing of them: where ``Outages/end`` the reading, that is no loss. Of remote shards the next is begun while the last
/// bytes of one are read.
public final class ShardReader {
    /// The most bytes that the members of one sample may have together.
    public static let sampleLimit = 256 << 20

    /// What becomes of shards that the network keeps away.
    public enum Outages: Sendable {
        /// They are counted as broken, and reading goes on with the next.
        case count
        /// Reading ends, for ``ShardReader/outage``.
        case end
    }

    /// What was lost so far, by reason.
    public private(set) var drops = DroppedSamples()
    /// The failure of the network that ended the reading: what comes afterwards is not what the shards hold.
    public private(set) var outage: Failure?
    /// Why the present shard, or the last that was read, could not be had from where it lies.
    private(set) var unreachable: Failure?
    private let outages: Outages
    /// Whether reading was given up, as a client's `isCancelled` asks: what comes afterwards is not what the shards hold.
    public private(set) var isGivenUp = false
    private var shards: ArraySlice<Shard>
    private var shard: Shard?
    private var members: (any ShardMembers)?
    /// The remote bytes of the present shard.
    private var bytes: ReadAhead?
    /// Those of the next, once the present ones have all come.
    private var bytesAhead: (shard: Shard, bytes: ReadAhead)?
    private var pending: Sample?
    private var pendingSize = 0
    private var isInDamage = false

    /// What will be read after the last shard, by another reader.
    private let following: Shard?

    /// Opens nothing yet.
    /// - Parameters:
    ///   - shards: read in this order.
    ///   - outages: what becomes of shards that the network keeps away.
    public convenience init(shards: [Shard], outages: Outages = .count) {
        self.init(shards: shards, outages: outages, after: nil, before: nil)
    }

    /// A reader between two others: it takes over what `previous` has begun, and begins `following` for the next.
    init(shards: [Shard], outages: Outages, after previous: ShardReader?, before following: Shard?) {
        self.shards = shards[...]
        self.outages = outages
        self.following = following
        bytesAhead = previous?.bytesAhead
        previous?.bytesAhead = nil
    }

    /// The next sample, nil after the last.
    public func next() -> Sample? {
        while !isGivenUp, outage == nil {
            guard let members = members ?? openNext() else { return nil }
            readAhead()
            let step = members.next()
            isGivenUp = members.isGivenUp
            outage = outage(members.failure)
            if isGivenUp || outage != nil { continue }
            switch step {
            case .member(let name):
                isInDamage = false
                if let finished = take(name, from: members) { return finished }
            case .lost(let reason): drops.addBroken(reason)
            case .damage:
                // One damaged stretch may be met in many steps; it is one stretch.
                if !isInDamage { drops.addBroken("shard is damaged") }
                isInDamage = true
            case .broken:
                count(members.failure, else: "shard is cut off or damaged")
                if let last = finishShard() { return last }
            case .end:
                if let last = finishShard() { return last }
            }
        }
        return nil
    }

    /// Opens the next shard that can be opened; nil when there is none left.
    private func openNext() -> (any ShardMembers)? {
        while outage == nil, let next = shards.popFirst() {
            shard = next
            unreachable = nil
            do {
                let opened = try open(next)
                members = opened
                isInDamage = false
                return opened
            } catch is CancellationError {
                isGivenUp = true
                return nil
            } catch let mistaken as NotAShard {
                drops.addBroken("shard is \(mistaken.content.description)")
                next.reach?.note("\(next.name) is \(mistaken.content.description): \(mistaken.content.advice)")
            } catch let failure as Failure {
                count(next.isRemote ? failure : nil, else: "shard can't be opened")
            } catch {
                drops.addBroken("shard can't be opened")
            }
        }
        return nil
    }

    private func open(_ next: Shard) throws -> any ShardMembers {
        bytes = nil
        switch next.place {
        case .file(let path): return try TarReader(path: path)
        case .images(let slice): return ImageSliceMembers(slice)
        case .web, .object, .command:
            guard let reach = next.reach else { preconditionFailure("a remote shard knows how it is reached") }
            let begun = bytesAhead?.shard == next ? bytesAhead?.bytes : nil
            bytesAhead = nil
            let opened = try begun ?? reach.bytes(of: next)
            bytes = opened
            return try TarReader(opened, name: next.name)
        }
    }

    /// Begins the next shard where it is a remote one and no more is to come of the present.
    private func readAhead() {
        guard bytesAhead == nil, let bytes, bytes.isComplete, let next = shards.first ?? following, next.isRemote,
            let begun = try? next.reach?.bytes(of: next)
        else { return }
        bytesAhead = (next, begun)
    }

    /// Counts a shard that broke, by why nothing more could be had of it where that is known.
    private func count(_ failure: Failure?, else reason: String) {
        guard let failure else { return drops.addBroken(reason) }
        unreachable = failure
        outage = outage(failure)
        if outage != nil { return }
        drops.addBroken("shard can't be read: \(failure.what)")
        let place = failure.place == nil ? "\(shard?.name ?? ""): " : ""
        shard?.reach?.note("\(place)\(failure)")
    }

    /// The failure, where it ends the reading.
    private func outage(_ failure: Failure?) -> Failure? {
        outages == .end ? failure.flatMap { $0.mayPass ? $0 : nil } : nil
    }

    /// Reads a member into the sample it belongs to; gives back the sample before, if the member begins another.
    private func take(_ name: String, from members: any ShardMembers) -> Sample? {
        guard let member = MemberName(name) else { return nil }
        var finished: Sample?
        if let current = pending, !MemberName.isSame(current.key, member.key) { finished = finish() }
        if pending == nil { pending = Sample(key: member.key, shard: shard?.samplesPlace ?? "", members: [:]) }
        if pending?.members[member.ending] != nil {
            drops.addBroken("member has the name of another")
            return finished
        }
        switch members.content(limit: ShardReader.sampleLimit - pendingSize) {
        case .whole(let bytes):
            pendingSize += bytes.count
            pending?.members[member.ending] = bytes
        case .tooLarge:
            drops.addBroken("sample is larger than \(ShardReader.sampleLimit >> 20) MiB")
        case .damage, .broken:
            isGivenUp = members.isGivenUp
            if isGivenUp { return nil }
            outage = outage(members.failure)
            if outage != nil { return nil }
            drops.addBroken("member is cut off or damaged")
        }
        return finished
    }

    private func finishShard() -> Sample? {
        members = nil
        bytes = nil
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
