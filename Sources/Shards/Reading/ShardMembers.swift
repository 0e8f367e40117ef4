import Failures

/// The members of one shard, one after the other: of a tar, or of files that would make one.
protocol ShardMembers: AnyObject {
    /// Why nothing more could be had from where the shard lies; nil where the fault is the shard's own.
    var failure: Failure? { get }
    /// Whether reading was given up, so that what is missing tells nothing of the shard.
    var isGivenUp: Bool { get }
    func next() -> ShardStep
    /// The present member's content, at most so many bytes of it.
    func content(limit: Int) -> MemberContent
}

extension ShardMembers {
    var isGivenUp: Bool { false }
}

/// What a step through a shard met.
enum ShardStep: Equatable {
    /// A member's name; its content is next.
    case member(String)
    /// A member that can't be reached, for this reason.
    case lost(String)
    /// A damaged stretch, after which reading may go on.
    case damage(String)
    /// Damage after which nothing can be read.
    case broken(String)
    case end
}

/// A member's content, or why there is none.
enum MemberContent: Equatable {
    case whole([UInt8])
    case tooLarge
    case damage(String)
    case broken(String)
}
