import Shards
import Torch

/// What the command line says of a run, beside its configuration.
public struct RunOptions {
    public var device = Device.cpu
    /// Threads of one operator; nil leaves it to libtorch.
    public var threads: Int?
    /// Takes the place of the configuration's seed.
    public var seed: UInt64?
    /// Stops after this many updates in all.
    public var steps: Int?
    /// Checks everything, prints the plan and trains nothing.
    public var isDryRun = false
    public var isQuiet = false
    /// Whether a plan reads all shards of the data, however many there are.
    public var readsAllData = false
    /// Told how many of the shards that a plan reads it has read.
    public var dataProgress: @Sendable (_ shards: Int, _ total: Int) -> Void = { _, _ in }
    /// How shards that are no local files are reached.
    public var shardAccess = ShardAccess()
    public var clock = RunClock.system
    /// What ends the run early.
    public var interruption = RunInterruption.none

    /// The processes that train this run together; nil where this one does it by itself.
    public var group: ProcessGroup?

    public init() {}
}
