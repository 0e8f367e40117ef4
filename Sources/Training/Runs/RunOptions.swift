import Shards
import Torch

/// What the command line says of a run, beside its configuration.
public struct RunOptions: Sendable {
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
    /// How shards that are no local files are reached.
    public var shardAccess = ShardAccess()
    public var clock = RunClock.system
    /// What ends the run early.
    public var interruption = RunInterruption.none

    public init() {}
}
